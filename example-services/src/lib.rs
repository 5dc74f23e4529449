//! The programs of the example mesh: `service` registers at its sidecar and answers with its name, host and port;
//! `frontend` fetches the services' answers through its sidecar.
//!
//! Both know only their own sidecar's addresses on loopback. The mesh finds the instances, balances connections over
//! them, and avoids those that fail.

pub mod client;
pub mod frontend;
mod kept;
pub mod name;
pub mod program;
pub mod registration;
mod server;
pub mod service;
pub mod upstream;
