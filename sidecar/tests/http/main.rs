//! HTTP through listeners, over real sockets.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod answers;
mod draining;
mod ejection;
mod failures;
mod frames;
mod instances;
mod keep_alive;
mod log;
mod messages;
mod proxy;
mod rfc9112;
mod rfc9113;
mod smuggling;
mod socks5;
mod streams;
mod support;
