//! The running parts of the configuration, by name.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::CommandError;
use super::registration::Registration;
use super::resolved_group::ResolvedGroup;
use super::resources::Resource;
use super::smart_group::SmartGroup;
use crate::activation::ActivatedSockets;
use crate::balance::{Protocol, ServerGroup, ServerGroups, ServerView};
use crate::dns::{Lookup, Lookups};
use crate::health;
use crate::own_listeners::{OwnListener, OwnListeners};
use crate::proxy::Limits;
use crate::proxy::access::SecurityGroup;
use crate::proxy::http_proxy::HttpProxy;
use crate::proxy::listener::Listener;
use crate::proxy::socks5::Socks5Server;
use crate::proxy::tcp_lb::TcpLb;
use crate::proxy::workers::Workers;

/// The running parts of the configuration, by name.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// The threads that relay the listeners' connections.
    pub(super) workers: Workers,
    /// Sockets that listeners use instead of binding their own.
    pub(super) sockets: ActivatedSockets,
    /// Host names that groups follow.
    pub(super) lookups: Lookups,
    /// What this sidecar itself listens on.
    pub(super) own: OwnListeners,
    /// Limits of each listener.
    pub(super) limits: Limits,
    /// Whether SOCKS5 servers beyond loopback may connect their clients to any destination.
    pub(super) allow_open_proxies: bool,
    pub(super) server_groups: HashMap<String, Arc<ServerGroups>>,
    pub(super) groups: HashMap<String, Group>,
    pub(super) listeners: HashMap<ListenerName, Arc<ListenerHandle>>,
    pub(super) security_groups: HashMap<String, Arc<SecurityGroup>>,
    pub(super) smart_groups: HashMap<String, SmartGroup>,
    pub(super) registrations: HashMap<String, Registration>,
    /// Listeners that were removed and may still have connections.
    closed: Vec<Arc<ListenerHandle>>,
}

/// A listener, by its kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenerName {
    kind: Resource,
    name: String,
}

impl ListenerName {
    pub(super) fn new(kind: Resource, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn resource(&self) -> Resource {
        self.kind
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.resource(), self.name())
    }
}

/// A group and its health checks, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    group: Arc<ServerGroup>,
    /// What fills it from DNS, if it is filled so.
    resolved: Option<ResolvedGroup>,
    _checks: DropGuard,
}

/// A running listener.
#[derive(Debug)]
pub(super) enum ListenerHandle {
    TcpLb(TcpLb),
    Socks5Server(Socks5Server),
    HttpProxy(HttpProxy),
}

impl Group {
    pub(super) fn start(group: Arc<ServerGroup>, own: OwnListeners) -> Self {
        let stop = CancellationToken::new();
        // Detached: it ends with the token, which is cancelled when this is dropped.
        health::spawn(Arc::clone(&group), own, stop.clone());
        Self {
            group,
            resolved: None,
            _checks: stop.drop_guard(),
        }
    }

    /// As [`Self::start`], and fills the group with the addresses of a host name.
    pub(super) fn start_resolved(
        group: Arc<ServerGroup>,
        own: OwnListeners,
        lookup: Arc<Lookup>,
        port: u16,
    ) -> Self {
        let stop = CancellationToken::new();
        // Detached: it ends with the token, which is cancelled when this is dropped.
        health::spawn_resolved(Arc::clone(&group), own, Arc::clone(&lookup), stop.clone());
        Self {
            resolved: Some(ResolvedGroup::start(Arc::clone(&group), lookup, port)),
            group,
            _checks: stop.drop_guard(),
        }
    }

    /// What fills it from DNS, if it is filled so.
    pub(super) fn resolved(&self) -> Option<&ResolvedGroup> {
        self.resolved.as_ref()
    }
}

impl ListenerHandle {
    pub(super) fn listener(&self) -> &Listener {
        match self {
            Self::TcpLb(lb) => lb.listener(),
            Self::Socks5Server(server) => server.listener(),
            Self::HttpProxy(proxy) => proxy.listener(),
        }
    }

    /// What its connections carry, if that does not depend on the group that they name.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::TcpLb(lb) => Some(lb.protocol()),
            Self::Socks5Server(_) | Self::HttpProxy(_) => None,
        }
    }

    pub(super) fn set_backends(&self, backends: Arc<ServerGroups>) {
        match self {
            Self::TcpLb(lb) => lb.set_backends(backends),
            Self::Socks5Server(server) => server.set_backends(backends),
            Self::HttpProxy(proxy) => proxy.set_backends(backends),
        }
    }
}

impl Running {
    pub(super) fn group(&self, name: &str) -> Result<Arc<ServerGroup>, CommandError> {
        let group = self.groups.get(name).map(|g| Arc::clone(&g.group));
        group.ok_or_else(|| CommandError::not_found("server-group", name))
    }

    pub(super) fn backends(&self, name: &str) -> Result<Arc<ServerGroups>, CommandError> {
        let groups = self.server_groups.get(name).map(Arc::clone);
        groups.ok_or_else(|| CommandError::not_found("server-groups", name))
    }

    pub(super) fn security_group(&self, name: &str) -> Result<Arc<SecurityGroup>, CommandError> {
        let group = self.security_groups.get(name).map(Arc::clone);
        group.ok_or_else(|| CommandError::not_found("security-group", name))
    }

    /// Adds a listener.
    pub(super) fn add_listener(&mut self, name: ListenerName, handle: ListenerHandle) {
        self.own.add(OwnListener {
            name: name.to_string(),
            address: handle.listener().local_addr(),
            is_proxy: true,
        });
        self.listeners.insert(name, Arc::new(handle));
    }

    /// The configured server that a listener at this address would be reached by, and its group.
    pub(super) fn server_at(&self, listener: SocketAddr) -> Option<(&str, ServerView)> {
        self.groups.iter().find_map(|(name, group)| {
            let servers = group.group.servers().into_iter();
            let mut configured = servers.filter(|server| !server.learned);
            let found = configured.find(|server| self.own.leads(server.address, listener))?;
            Some((name.as_str(), found))
        })
    }

    /// Removes a listener. It stops accepting at once, and the caller may wait until its address is free. Its
    /// connections stay open, and are drained with the others.
    pub(super) fn take_listener(&mut self, name: &ListenerName) -> Option<Arc<ListenerHandle>> {
        let handle = self.listeners.remove(name)?;
        self.own.remove(&name.to_string());
        handle.listener().stop_accepting();
        self.closed.retain(|closed| !closed.listener().is_over());
        self.closed.push(Arc::clone(&handle));
        Some(handle)
    }

    /// Every listener, including removed ones that may still have connections.
    pub(super) fn all_listeners(&self) -> Vec<Arc<ListenerHandle>> {
        self.listeners.values().chain(&self.closed).cloned().collect()
    }
}

/// Ends listeners: they stop accepting at once, and their connections have until the deadline to finish. Returns the
/// number of connections aborted at the deadline.
pub(super) async fn drain(listeners: Vec<Arc<ListenerHandle>>, deadline: Duration) -> usize {
    let mut drains = JoinSet::new();
    for handle in listeners {
        drains.spawn(async move { handle.listener().drain(deadline).await });
    }
    drains.join_all().await.into_iter().sum()
}
