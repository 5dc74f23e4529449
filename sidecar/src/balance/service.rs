//! What the mesh offers and what is offered to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// A service's identity in the mesh: its name within a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId {
    /// The service's name, for instance `my-service-a`.
    pub service: String,
    /// The zone that keeps equal names apart, for instance `example`.
    pub zone: String,
}

/// One place where a service answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of connections relative to its siblings; 0 takes none.
    pub weight: u32,
}

/// A local instance that the mesh is to announce.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The service that the instance belongs to.
    pub id: ServiceId,
    /// The instance.
    pub instance: Instance,
}

/// What the mesh knows of instances at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instances {
    /// Every instance that is offered, the local ones included, sorted by address.
    pub offered: BTreeMap<ServiceId, Vec<Instance>>,
    /// Where those were that are gone without having been withdrawn, because their node was called down.
    pub down: BTreeSet<SocketAddr>,
}
