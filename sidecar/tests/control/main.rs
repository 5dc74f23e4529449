//! The control plane through its controllers: config file, RESP and HTTP.

mod autosave;
mod config_file;
mod http;
mod original;
mod registration;
mod resp;
mod skip;
