//! The one typed command that every door produces and the controller applies.

use std::net::SocketAddr;

use crate::balance::{CheckConfig, Method};
use crate::interface::IpType;

/// A server's or group's share where none is given (control plane: registering a service).
pub const DEFAULT_WEIGHT: u32 = 10;

/// One change to the sidecar's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a resource, or attaches one to another.
    Add(Add),
    /// Removes a resource, or detaches one from another.
    Remove(Remove),
}

/// What can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Add {
    /// `add server-groups NAME`
    ServerGroups {
        /// Its name.
        name: String,
    },
    /// `add server-group NAME timeout .. period .. up .. down .. [method ..]`
    ServerGroup {
        /// Its name; a SOCKS5 server knows it as a destination when it is written `host:port`.
        name: String,
        /// How it is balanced and checked.
        spec: ServerGroupSpec,
    },
    /// `add server-group NAME to server-groups NAME [weight ..]`
    ServerGroupTo {
        /// The group's name.
        name: String,
        /// The server groups it joins.
        groups: String,
        /// Its share of the connections to them.
        weight: u32,
    },
    /// `add server NAME to server-group NAME address .. [weight ..]`
    Server {
        /// Its name within the group.
        name: String,
        /// The group it joins.
        group: String,
        /// Where it listens.
        address: SocketAddr,
        /// Its share of the group's connections.
        weight: u32,
    },
    /// `add tcp-lb NAME address .. server-groups ..`
    TcpLb {
        /// Its name.
        name: String,
        /// Where it listens, and what it leads to.
        spec: ListenerSpec,
    },
    /// `add socks5-server NAME address .. server-groups .. [allow-non-backend]`
    Socks5Server {
        /// Its name.
        name: String,
        /// Where it listens, and what it leads to.
        spec: ListenerSpec,
        /// Whether it goes to destinations that are no backend's.
        allow_non_backend: bool,
    },
    /// `add smart-group-delegate NAME service .. zone .. server-group ..`
    SmartGroupDelegate {
        /// Its name.
        name: String,
        /// What it follows, and which group it fills.
        spec: SmartGroupSpec,
    },
    /// `add smart-node-delegate NAME service .. zone .. nic .. [ip-type ..] [port ..] [weight ..]`
    SmartNodeDelegate {
        /// Its name.
        name: String,
        /// What it offers, and where.
        spec: SmartNodeSpec,
    },
}

/// What can be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remove {
    /// `remove smart-node-delegate NAME`
    SmartNodeDelegate {
        /// Its name.
        name: String,
    },
}

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
