//! Codec of datagrams and bodies; no sockets.
//!
//! The limits of what a peer may send stand here and with [`ExchangeKind`].

mod datagram;
mod dropped;
mod exchange;
mod fields;
mod gossip;
mod hash;
mod meta;
mod name;
mod node;
mod recorded;
mod service_node;
mod shape;

pub use datagram::{Cookie, Datagram, DatagramKind, MAX_DATAGRAM};
pub use dropped::Dropped;
pub use exchange::{Answer, ExchangeKind, GOSSIP_HEADER, PATH_PREFIX, Request};
pub(super) use gossip::digest;
pub use gossip::{Gossip, Report, ReportedState};
pub(super) use hash::services_text;
pub use hash::{membership_hash, services_hash};
pub use meta::Meta;
pub(super) use name::check_name;
pub use node::{Node, NodeState};
pub use recorded::Recorded;
pub use service_node::{NodeChange, NodeServices, ServiceList, ServiceNode};

/// Limit of the name of a node, service or zone, in bytes.
pub const MAX_NAME: usize = 255;
/// Limit of the nodes in one body.
pub const MAX_NODES: usize = 4096;
/// Limit of the service nodes of one node.
pub const MAX_SERVICES: usize = 1024;
/// Limit of the `meta` object of a service node, in bytes of JSON.
pub const MAX_META: usize = 4096;

/// Limit of the text that is compared as the hash of all services, in bytes; a longer one is replaced by its digest.
pub const MAX_HASH: usize = 1 << 20;

/// Why bytes from a peer are malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
