//! What the mesh offers and what is offered to it.

use std::collections::BTreeMap;
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

/// Every instance that the mesh offers now, the local ones included; instances sorted by address.
pub type Instances = BTreeMap<ServiceId, Vec<Instance>>;
