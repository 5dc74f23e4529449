//! Discovery: the service instances that the mesh offers, and those offered to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::Serialize;

/// A service's identity in the mesh: its name within a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId {
    /// The service's name, for instance `my-service-a`.
    pub service: String,
    /// The zone, which distinguishes services of the same name, for instance `example`.
    pub zone: String,
}

/// Maximum weight: that of the original.
pub const MAX_WEIGHT: u32 = i32::MAX as u32;

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// The address it listens on.
    pub address: SocketAddr,
    /// Its share of connections relative to the service's other instances; at 0 it takes none.
    pub weight: u32,
    /// Whether it is at the address of the node that offers it, or a local one. An instance elsewhere gets no client before a
    /// check of ours has passed: its node's word says nothing about what listens there.
    pub at_node: bool,
}

/// A local instance for the mesh to announce.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The service that the instance belongs to.
    pub id: ServiceId,
    /// The instance.
    pub instance: Instance,
}

/// Why an instance is the last choice of its service: it gets connections only while no other instance is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastChoice {
    /// Its node is down. The instance itself may be well: perhaps only its sidecar has stalled. Its open connections are
    /// ended while another instance is usable.
    NodeDown,
    /// Its node is said to leave, and has not confirmed it. Only new connections avoid it.
    LeaveClaimed,
}

/// A snapshot of the instances that the mesh knows. An address is in at most one of the two lists of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instances {
    /// The instances of nodes that are up, including the local ones, sorted by address.
    pub offered: BTreeMap<ServiceId, Vec<Instance>>,
    /// The instances that are the last choice, sorted by address.
    pub last_choice: BTreeMap<ServiceId, Vec<(Instance, LastChoice)>>,
    /// Addresses of instances that were not withdrawn but whose node was replaced by another: nothing more comes from
    /// them.
    pub replaced: BTreeSet<SocketAddr>,
}
