//! What the mesh tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod gossip;
pub(crate) mod lone;
pub(crate) mod loopback;
pub(crate) mod original;
pub(crate) mod world;
