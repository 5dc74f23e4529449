//! The RESP door: commands over the redis protocol, so that `redis-cli` speaks with the sidecar. It has no logic of
//! its own: apart from a handful of words about the connection itself, every request is a command of the grammar.
//!
//! RESP2 and, after `HELLO 3`, RESP3 (redis.io, "Redis serialization protocol specification").

pub mod answer;
mod attempts;
mod connection;
mod inline;
pub mod request;
mod server;
mod session;

pub use server::{Limits, serve};
