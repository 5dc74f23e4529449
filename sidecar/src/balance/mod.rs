//! Which instance a connection goes to. Pure: no sockets, no clock, no randomness.
//!
//! This is also where the control plane and the mesh meet: the types in [`service`] are all that one
//! knows of the other.

pub mod service;
