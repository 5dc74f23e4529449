//! Which instance a connection goes to. Pure: no sockets, no clock, no randomness.
//!
//! A [`ServerGroup`] is a set of servers with one balancing [`Method`] and one health check; a
//! [`ServerGroups`] is an ordered, weighted set of groups. Both are shared as `Arc`s and changed in
//! place: a change decides the very next pick. A pick is a [`Lease`], which counts the connection as
//! active on its server for as long as it lives.
//!
//! This is also where the control plane and the mesh meet: the types in [`service`] are all that one
//! knows of the other.

mod connect_times;
mod connects;
mod counters;
mod down_signal;
mod endpoint;
mod error;
mod group;
mod groups;
mod health;
mod lease;
mod method;
mod server;
pub mod service;
mod source;
mod wrr;

pub use connect_times::{CONNECT_TIME_BOUNDS, ConnectTimes};
pub use connects::{Connects, Failure, Failures};
pub use counters::{Counters, Direction, Totals};
pub use endpoint::ServerView;
pub use error::{AttachError, ServerError};
pub use group::ServerGroup;
pub use groups::{Attachment, ServerGroups};
pub use health::{CheckConfig, CheckOutcome, Checks};
pub use lease::{FailedLease, Lease, Tried};
pub use method::{Method, UnknownMethod};
pub use server::Server;
