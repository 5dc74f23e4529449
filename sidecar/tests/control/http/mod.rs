//! The HTTP controller: against the recorded original, its API document, and clients.

mod addresses;
mod clients;
mod curl;
mod document;
mod frontend;
mod hangup;
mod headers;
mod host_names;
mod original;
mod reference;
mod requests;
mod support;
mod token;
mod vectors;
