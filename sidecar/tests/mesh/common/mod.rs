//! Support for the mesh tests.

pub(crate) mod gossip;
pub(crate) mod lone;
pub(crate) mod loopback;
pub(crate) mod original;
pub(crate) mod world;
