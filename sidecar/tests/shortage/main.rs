//! The sidecar's executable on a machine that lacks something: descriptors, local ports, a network. Nobody else is blamed
//! for it.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod descriptors;
mod discovery;
mod firewall;
mod interface;
mod loops;
mod namespace;
mod ports;
mod registration;
#[path = "../common/skip.rs"]
mod skip;
mod support;
