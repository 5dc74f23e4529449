//! `sidecar waypoint`, as a program, with a name server and endpoints of the test.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]
#![allow(clippy::disallowed_methods, reason = "there is no runtime to block")]

mod checks;
mod http;
#[path = "../common/kill.rs"]
mod kill;
#[path = "../resolve/name_server.rs"]
#[allow(dead_code, reason = "shared with the tests of groups")]
mod name_server;
mod ports;
mod world;
