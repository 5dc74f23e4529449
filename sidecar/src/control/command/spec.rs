//! What resources are made of.

use std::net::SocketAddr;

use crate::balance::{CheckConfig, Method};
use crate::interface::IpType;

/// How a server group is balanced and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerGroupSpec {
    /// How its servers are checked.
    pub check: CheckConfig,
    /// How a server is chosen.
    pub method: Method,
}

/// A listener and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Where it listens.
    pub address: SocketAddr,
    /// The server groups that it takes connections to.
    pub backend: String,
    /// The security group that says which clients it serves; without one it serves all.
    pub security_group: Option<String>,
}

/// A service of the mesh and the group that is kept filled with its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmartGroupSpec {
    /// The service's name.
    pub service: String,
    /// Its zone.
    pub zone: String,
    /// The group to fill.
    pub group: String,
}

/// A local instance that is offered to the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmartNodeSpec {
    /// The service's name.
    pub service: String,
    /// Its zone.
    pub zone: String,
    /// The interface whose address it listens on.
    pub nic: String,
    /// Which of the interface's addresses.
    pub ip_type: IpType,
    /// Its port; without one the sidecar picks a free one.
    pub port: Option<u16>,
    /// Its share of the service's connections.
    pub weight: u32,
}
