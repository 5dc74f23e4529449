//! The programs of the example mesh: `service`, which registers at its sidecar and says who it is, and
//! `frontend`, which fetches the services' answers through its sidecar.
//!
//! Neither knows any address but its own sidecar's on loopback: finding the instances, choosing one and
//! going round a broken one is the mesh's work.

pub mod client;
pub mod frontend;
pub mod name;
mod places;
pub mod program;
pub mod registration;
mod server;
pub mod service;
pub mod socks5;
pub mod upstream;
