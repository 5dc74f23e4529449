//! The data plane over real sockets.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod access;
mod buffers;
mod check_kinds;
mod counters;
mod endpoint_down;
mod failover;
mod health;
mod hold;
mod initial_data;
mod last_choice;
mod limits;
mod listener;
mod log;
mod long_flow;
#[path = "../shortage/namespace.rs"]
#[allow(dead_code, reason = "shared with the tests of shortages")]
mod namespace;
mod relay;
mod relay_endings;
mod sessions;
#[path = "../common/skip.rs"]
mod skip;
mod socks5;
mod socks5_local;
mod socks5_refusals;
mod socks5_wire;
mod support;
mod tcp_lb;
mod untested;
mod urgent;
mod vanished;
mod workers;
