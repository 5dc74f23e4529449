//! `add`: what can be made.

use std::net::SocketAddr;

use super::spec::{ListenerSpec, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec};
use crate::proxy::access::{Rule, Verdict};

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
