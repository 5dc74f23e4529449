//! The two programs against a fake sidecar: what they say over the wire and how they end.

mod fake_sidecar;
mod fake_socks5;
mod frontend;
mod http;
mod process;
mod registration;
mod service;
mod socks5;
