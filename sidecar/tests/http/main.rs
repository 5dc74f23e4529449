//! HTTP through listeners, over real sockets.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod keep_alive;
mod socks5;
mod support;
