//! The configuration as it runs now: what the doors and the status pages show.

use std::net::SocketAddr;

use super::command::{ListenerName, SmartGroupSpec, SmartNodeSpec};
use crate::balance::{CheckConfig, ConnectTimes, Connects, Method, ServerView, Totals};
use crate::proxy::Refusals;
use crate::proxy::access::{Rule, Verdict};

/// A server group.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// How its servers are checked.
    pub check: CheckConfig,
    /// How it chooses.
    pub method: Method,
    /// Its servers: the configured ones, then the mesh's.
    pub servers: Vec<ServerView>,
    /// What went through its servers, those that are gone included.
    pub totals: Totals,
    /// How connecting to them failed.
    pub connects: Connects,
    /// How long connecting to them took.
    pub connect_times: ConnectTimes,
}

/// A set of server groups.
#[derive(Debug, Clone)]
pub struct ServerGroupsView {
    /// Its name.
    pub name: String,
    /// The groups attached, in order.
    pub members: Vec<MemberView>,
}

/// A server group's place in a set.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// The group.
    pub group: GroupView,
    /// Its share of the set's connections.
    pub weight: u32,
}

/// A listener.
#[derive(Debug, Clone)]
pub struct ListenerView {
    /// Its kind and name.
    pub name: ListenerName,
    /// Where it listens.
    pub address: SocketAddr,
    /// The server groups that it takes connections to.
    pub backend: String,
    /// The security group that says which clients it serves; without one it serves all.
    pub security_group: Option<String>,
    /// Whether a SOCKS5 server goes to destinations that are no backend's; no for a load balancer.
    pub allow_non_backend: bool,
    /// What went through it.
    pub totals: Totals,
    /// Why connections got nowhere.
    pub refusals: Refusals,
}

/// A security group.
#[derive(Debug, Clone)]
pub struct SecurityGroupView {
    /// Its name.
    pub name: String,
    /// For clients that no rule matches.
    pub default: Verdict,
    /// Its rules by name, in order.
    pub rules: Vec<(String, Rule)>,
}

/// A smart group.
#[derive(Debug, Clone)]
pub struct SmartGroupView {
    /// Its name.
    pub name: String,
    /// What it follows, and which group it fills.
    pub spec: SmartGroupSpec,
}

/// A registration.
#[derive(Debug, Clone)]
pub struct RegistrationView {
    /// Its name.
    pub name: String,
    /// What was asked for.
    pub spec: SmartNodeSpec,
    /// Where the instance listens, or is to listen.
    pub address: SocketAddr,
    /// Whether the mesh is told of it now.
    pub announced: bool,
}
