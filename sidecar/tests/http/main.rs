//! The control plane behind its HTTP door: as recorded from the original, as described, as curl sees it.

mod addresses;
mod clients;
mod commands;
mod curl;
mod document;
mod door;
mod hangup;
mod support;
mod token;
mod vectors;
