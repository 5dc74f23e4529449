//! Discovery: the service instances that the mesh offers, and those offered to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// A service's identity in the mesh: its name within a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId {
    /// The service's name, for instance `my-service-a`.
    pub service: String,
    /// The zone, which distinguishes services of the same name, for instance `example`.
    pub zone: String,
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// The address it listens on.
    pub address: SocketAddr,
    /// Its share of connections relative to the service's other instances; at 0 it takes none.
    pub weight: u32,
}

/// A local instance for the mesh to announce.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The service that the instance belongs to.
    pub id: ServiceId,
    /// The instance.
    pub instance: Instance,
}

/// A snapshot of the instances that the mesh knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instances {
    /// All offered instances, including the local ones, sorted by address.
    pub offered: BTreeMap<ServiceId, Vec<Instance>>,
    /// Addresses of instances that were not withdrawn but whose node is down.
    pub down: BTreeSet<SocketAddr>,
}
