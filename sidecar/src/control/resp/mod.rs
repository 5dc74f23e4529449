//! The RESP controller: commands over the redis protocol, so that `redis-cli` can be used with the sidecar. Except
//! for a few requests about the connection itself, every request is a command of the command language.
//!
//! RESP2 and, after `HELLO 3`, RESP3 (redis.io, "Redis serialization protocol specification").

pub mod answer;
mod attempts;
mod backlog;
mod connection;
mod limits;
mod places;
pub mod request;
mod server;
mod session;

pub use limits::Limits;
pub use server::serve;
