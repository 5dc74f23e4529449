//! `list` and `list-detail`: what can be read.

use std::net::SocketAddr;

use crate::control::grammar::Resource;

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
