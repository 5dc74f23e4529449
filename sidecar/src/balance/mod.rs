//! Decides which server a connection goes to. Pure: no sockets, no clock, no randomness.
//!
//! Three parts, as in pingora's load balancing:
//! * discovery: [`service`] is what the mesh offers and what is offered to it, the only interface between the control plane
//!   and the mesh; `group/servers.rs` takes it into a group;
//! * health check: `health.rs` turns the outcomes of checks into the state of an endpoint;
//! * selection: `selection.rs` picks one of a group's endpoints, by the methods in `wrr.rs` and `rendezvous.rs`.
//!
//! A connection picks its endpoint with [`ServerGroups::pick`]: first the group, then the server within it
//! ([`ServerGroup::pick`]). It gets a [`Lease`], which counts the connection as active on its server until it is dropped. If
//! connecting fails, [`FailedLease::eject`] makes the endpoint the last choice of all connections until a health check
//! passes, and the connection picks again, with its [`Tried`] addresses left out. [`crate::proxy::connect`] is that loop.
//!
//! Instances of a node that is down stay in their group as its last choice ([`service::LastChoice`]). While another
//! endpoint is usable they get no connection, and those that they have are ended. When none is left they are tried
//! anyway, as below Envoy's panic threshold: at most [`MAX_LAST_CHOICES`] by one request; after these failed, requests of
//! the next [`OPEN_FOR`] do not try them (`circuit_breaker.rs`). Instances of a node that is said to leave come before
//! those, and only new connections avoid them.
//!
//! No client meets an endpoint before a health check of ours has passed, while another one is proven. The first check
//! begins as soon as the endpoint is known, and the first one that passes admits it, whatever `up` is. While none is
//! proven, learned instances at their node's address are tried, so that the first one of a service serves at once; an
//! attempt ends after [`UNTESTED_TIMEOUT`] if another endpoint is left.
//!
//! A group may also eject servers for their answers to HTTP requests (`outlier.rs`): each request's end is recorded with
//! [`Lease::record`], and an ejected server is picked only if no other is up, or by the one request that tries it again.
//!
//! A [`ServerGroup`] is a set of servers with one [`Method`] and one health check; a [`ServerGroups`] is an ordered, weighted
//! set of groups. Both are shared and changed in place: a change applies from the next pick on.

mod check_kind;
mod circuit_breaker;
mod connect_failures;
mod counters;
mod down_signal;
mod endpoint;
mod error;
mod group;
mod groups;
mod health;
mod health_check;
mod latency;
mod outlier;
mod outlook;
mod protocol;
mod rendezvous;
mod requests;
mod selection;
mod server;
pub mod service;
mod tried;
mod wrr;

pub use check_kind::CheckKind;
pub use circuit_breaker::{MAX_LAST_CHOICES, OPEN_FOR};
pub use connect_failures::{Connects, Failures};
pub use counters::{Counters, Direction, Totals};
pub use endpoint::ServerView;
pub use error::{AttachError, ServerError};
pub use group::{FailedLease, LearnedServer, Lease, ServerGroup, UNTESTED_TIMEOUT};
pub use groups::{Attachment, ServerGroups};
pub use health_check::{CheckConfig, CheckOutcome, Checks};
pub use latency::{CONNECT_TIME_BOUNDS, Latencies, REQUEST_TIME_BOUNDS};
pub use outlier::{Outcome, OutlierEjection};
pub use outlook::Outlook;
pub use protocol::{Protocol, UnknownProtocol};
pub use requests::{RequestCounters, Requests};
pub use selection::{Method, UnknownMethod};
pub use server::Server;
pub use tried::Tried;
