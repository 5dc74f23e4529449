//! The two programs against a fake sidecar: requests, answers, logs and exit codes.

mod fake_sidecar;
mod fake_socks5;
mod frontend;
mod http;
mod process;
mod registration;
mod service;
mod unread;
