//! HTTP through listeners, over real sockets.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod draining;
mod ejection;
mod failures;
mod keep_alive;
mod messages;
mod proxy;
mod smuggling;
mod socks5;
mod streams;
mod support;
