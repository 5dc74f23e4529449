//! The one typed command that every door produces and the controller applies.

mod spec;

use std::net::SocketAddr;
use std::time::Duration;

pub use spec::{ListenerSpec, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec};

use super::grammar::Resource;
use super::sessions::SessionPattern;
use crate::balance::{CheckConfig, Method};
use crate::proxy::access::{Rule, Verdict};

/// A server's or group's share where none is given (control plane: registering a service).
pub const DEFAULT_WEIGHT: u32 = 10;

/// Something to do with the sidecar's configuration, or to read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a resource, or attaches one to another.
    Add(Add),
    /// Changes a resource.
    Update(Update),
    /// Removes a resource, or detaches one from another.
    Remove {
        /// What.
        what: Remove,
        /// Along with whatever uses it; without it, what is in use is not removed.
        force: bool,
    },
    /// Reads resources.
    List {
        /// Which.
        what: List,
        /// A line about each, and not only its name or the number of them.
        detail: bool,
    },
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
    /// `add tcp-lb NAME address .. server-groups .. [security-group ..]`
    TcpLb {
        /// Its name.
        name: String,
        /// Where it listens, and what it leads to.
        spec: ListenerSpec,
    },
    /// `add socks5-server NAME address .. server-groups .. [security-group ..] [allow-non-backend]`
    Socks5Server {
        /// Its name.
        name: String,
        /// Where it listens, and what it leads to.
        spec: ListenerSpec,
        /// Whether it goes to destinations that are no backend's.
        allow_non_backend: bool,
    },
    /// `add security-group NAME default allow|deny`
    SecurityGroup {
        /// Its name.
        name: String,
        /// For clients that no rule matches.
        default: Verdict,
    },
    /// `add security-group-rule NAME to security-group NAME network .. protocol .. port-range .. default ..`
    SecurityGroupRule {
        /// Its name within the group.
        name: String,
        /// The group it joins, behind the rules that are there.
        group: String,
        /// What it says.
        rule: Rule,
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

/// What can be changed; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// `update server-group NAME [timeout ..] [period ..] [up ..] [down ..] [method ..]`
    ServerGroup {
        /// Its name.
        name: String,
        /// How its servers are checked.
        check: CheckUpdate,
        /// How a server is chosen.
        method: Option<Method>,
    },
    /// `update server-group NAME in server-groups NAME weight ..`
    ServerGroupIn {
        /// The group's name.
        name: String,
        /// The server groups it is in.
        groups: String,
        /// Its share of the connections to them.
        weight: u32,
    },
    /// `update server NAME in server-group NAME weight ..`
    Server {
        /// Its name.
        name: String,
        /// The group it is in.
        group: String,
        /// Its share of the group's connections.
        weight: u32,
    },
    /// `update tcp-lb NAME [server-groups ..] [security-group ..]`
    TcpLb {
        /// Its name.
        name: String,
        /// What changes.
        listener: ListenerUpdate,
    },
    /// `update socks5-server NAME [server-groups ..] [security-group ..] [allow-non-backend|deny-non-backend]`
    Socks5Server {
        /// Its name.
        name: String,
        /// What changes.
        listener: ListenerUpdate,
        /// Whether it goes to destinations that are no backend's.
        allow_non_backend: Option<bool>,
    },
    /// `update security-group NAME default allow|deny`
    SecurityGroup {
        /// Its name.
        name: String,
        /// For clients that no rule matches.
        default: Verdict,
    },
}

/// What changes about a group's health checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckUpdate {
    /// How long a check may take.
    pub timeout: Option<Duration>,
    /// From one check to the next.
    pub period: Option<Duration>,
    /// Good checks in a row that bring a server up.
    pub up: Option<u32>,
    /// Failed checks in a row that bring a server down.
    pub down: Option<u32>,
}

impl CheckUpdate {
    /// The settings after the change.
    #[must_use]
    pub fn applied_to(self, check: CheckConfig) -> CheckConfig {
        CheckConfig {
            timeout: self.timeout.unwrap_or(check.timeout),
            period: self.period.unwrap_or(check.period),
            up: self.up.unwrap_or(check.up),
            down: self.down.unwrap_or(check.down),
        }
    }
}

/// What changes about a listener, for new connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerUpdate {
    /// The server groups that it takes connections to.
    pub backend: Option<String>,
    /// The security group that says which clients it serves; `Some(None)`, written `(allow-all)`, serves all.
    pub security_group: Option<Option<String>>,
}

/// What can be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remove {
    /// `remove server-groups NAME`
    ServerGroups(String),
    /// `remove server-group NAME`
    ServerGroup(String),
    /// `remove server-group NAME from server-groups NAME`
    ServerGroupFrom {
        /// The group's name.
        name: String,
        /// The server groups it leaves.
        groups: String,
    },
    /// `remove server NAME from server-group NAME`
    Server {
        /// Its name.
        name: String,
        /// The group it leaves.
        group: String,
    },
    /// `remove tcp-lb NAME`
    TcpLb(String),
    /// `remove socks5-server NAME`
    Socks5Server(String),
    /// `remove security-group NAME`
    SecurityGroup(String),
    /// `remove security-group-rule NAME from security-group NAME`
    SecurityGroupRule {
        /// Its name.
        name: String,
        /// The group it leaves.
        group: String,
    },
    /// `remove smart-group-delegate NAME`
    SmartGroupDelegate(String),
    /// `remove smart-node-delegate NAME`
    SmartNodeDelegate(String),
    /// `force-remove session ADDRESS|/REGEX/ from tcp-lb|socks5-server NAME`
    Session {
        /// Which sessions.
        which: SessionPattern,
        /// The listener that accepted them.
        listener: ListenerName,
    },
}

/// What can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// `list server-groups`
    ServerGroups,
    /// `list server-group [in server-groups NAME]`
    ServerGroup {
        /// Only those attached to these.
        groups: Option<String>,
    },
    /// `list server in server-group NAME`
    Server {
        /// Its group.
        group: String,
    },
    /// `list tcp-lb`
    TcpLb,
    /// `list socks5-server`
    Socks5Server,
    /// `list security-group`
    SecurityGroup,
    /// `list security-group-rule in security-group NAME`
    SecurityGroupRule {
        /// Its group.
        group: String,
    },
    /// `list smart-group-delegate`
    SmartGroupDelegate,
    /// `list smart-node-delegate`
    SmartNodeDelegate,
    /// `list bind-server in tcp-lb|socks5-server NAME`
    BindServer(ListenerName),
    /// `list connection in tcp-lb|socks5-server NAME`
    Connection(ListenerName),
    /// `list session in tcp-lb|socks5-server NAME`
    Session(ListenerName),
    /// `list bytes-in|bytes-out|accepted-conn-count in ...`
    Figure {
        /// Which figure.
        figure: Figure,
        /// Of what.
        of: Counted,
    },
}

/// A listener, by its kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenerName {
    /// A TCP load balancer.
    TcpLb(String),
    /// A SOCKS5 server.
    Socks5Server(String),
}

impl ListenerName {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::TcpLb(name) | Self::Socks5Server(name) => name,
        }
    }

    /// Its kind.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::TcpLb(_) => Resource::TcpLb,
            Self::Socks5Server(_) => Resource::Socks5Server,
        }
    }
}

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Bytes from clients to instances.
    BytesIn,
    /// Bytes from instances to clients.
    BytesOut,
    /// Connections accepted by a listener, or made to a server.
    AcceptedConnCount,
}

/// Where something is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// `in tcp-lb|socks5-server NAME`
    Listener(ListenerName),
    /// `in bind-server ADDRESS in tcp-lb|socks5-server NAME`
    BindServer {
        /// The address that the listener is bound to.
        address: SocketAddr,
        /// The listener.
        listener: ListenerName,
    },
    /// `in server NAME in server-group NAME`
    Server {
        /// The server.
        name: String,
        /// Its group.
        group: String,
    },
}
