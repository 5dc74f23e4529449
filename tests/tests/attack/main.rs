//! Attacks from the network's own side on a mesh of real sidecars and services: by a host that is no member, and by a
//! member that lies. Each test has network namespaces of its own, without a route outside.
//!
//! Needs `unshare`, `nsenter` and `ip`, and root or unprivileged user namespaces. Without them the tests are skipped
//! with a message, or fail if `MESH_REQUIRE` names `networks`.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]
#![allow(clippy::print_stdout, reason = "each attack shows its figures")]

mod forgery;
mod holders;
mod http;
mod liar;
mod mesh;
mod namespace;
mod traffic;
mod trap;
mod wire;

mod doors;
mod instances;
mod leaves;
mod listeners;
mod shares;
mod siege;
mod strangers;
