//! The address of a node's interface changes: the sidecar's executable in network namespaces of its own.
//!
//! Needs root, `unshare`, `nsenter`, `ip` and `curl`. Without them the tests are skipped with a message, or fail if
//! `MESH_REQUIRE` names `networks`.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod change;
mod detection;
mod node;
#[path = "../common/skip.rs"]
mod skip;
mod stand_in;
mod world;
