//! The control plane through its controllers: config file, RESP and HTTP.

mod autosave;
mod config_file;
mod http;
#[path = "../common/kill.rs"]
mod kill;
mod open_proxies;
mod original;
mod own_listeners;
mod protocol;
mod registration;
mod resp;
#[path = "../common/skip.rs"]
mod skip;
