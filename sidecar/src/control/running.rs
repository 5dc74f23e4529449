//! What runs because of the configuration, by name, and what each change does to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::command::{ListenerName, ListenerSpec};
use super::error::CommandError;
use super::grammar::Resource;
use super::registration::Registration;
use super::smart_group::SmartGroup;
use crate::balance::{ServerGroup, ServerGroups};
use crate::health;
use crate::proxy::Limits;
use crate::proxy::access::SecurityGroup;
use crate::proxy::listener::{Listener, bind};
use crate::proxy::socks5::Socks5Server;
use crate::proxy::tcp_lb::TcpLb;
use crate::proxy::workers::Workers;

/// What runs because of the configuration, by name.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// What listeners carry their connections on.
    pub(super) workers: Workers,
    /// What each listener may take.
    pub(super) limits: Limits,
    pub(super) server_groups: HashMap<String, Arc<ServerGroups>>,
    pub(super) groups: HashMap<String, Group>,
    pub(super) listeners: HashMap<ListenerName, Arc<Door>>,
    pub(super) security_groups: HashMap<String, Arc<SecurityGroup>>,
    pub(super) smart_groups: HashMap<String, SmartGroup>,
    pub(super) registrations: HashMap<String, Registration>,
    /// Listeners that were removed and may have connections still.
    closed: Vec<Arc<Door>>,
}

/// A group and its health checks, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) group: Arc<ServerGroup>,
    _checks: DropGuard,
}

/// What clients come in by.
#[derive(Debug)]
pub(super) enum Door {
    TcpLb(TcpLb),
    Socks5Server(Socks5Server),
}

impl Group {
    pub(super) fn start(group: Arc<ServerGroup>) -> Self {
        let stop = CancellationToken::new();
        // Detached: it ends with the token, which is cancelled when this is dropped.
        health::spawn(Arc::clone(&group), stop.clone());
        Self {
            group,
            _checks: stop.drop_guard(),
        }
    }
}

impl Door {
    pub(super) fn listener(&self) -> &Listener {
        match self {
            Self::TcpLb(lb) => lb.listener(),
            Self::Socks5Server(server) => server.listener(),
        }
    }

    pub(super) fn set_backends(&self, backends: Arc<ServerGroups>) {
        match self {
            Self::TcpLb(lb) => lb.set_backends(backends),
            Self::Socks5Server(server) => server.set_backends(backends),
        }
    }
}

impl Running {
    pub(super) fn group(&self, name: &str) -> Result<Arc<ServerGroup>, CommandError> {
        let group = self.groups.get(name).map(|g| Arc::clone(&g.group));
        group.ok_or_else(|| CommandError::not_found(Resource::ServerGroup, name))
    }

    pub(super) fn backends(&self, name: &str) -> Result<Arc<ServerGroups>, CommandError> {
        let groups = self.server_groups.get(name).map(Arc::clone);
        groups.ok_or_else(|| CommandError::not_found(Resource::ServerGroups, name))
    }

    pub(super) fn security_group(
        &self,
        name: Option<&str>,
    ) -> Result<Option<Arc<SecurityGroup>>, CommandError> {
        let Some(name) = name else { return Ok(None) };
        match self.security_groups.get(name) {
            Some(group) => Ok(Some(Arc::clone(group))),
            None => Err(CommandError::not_found(Resource::SecurityGroup, name)),
        }
    }

    pub(super) fn listener(&self, name: &ListenerName) -> Result<Arc<Door>, CommandError> {
        let door = self.listeners.get(name).map(Arc::clone);
        door.ok_or_else(|| CommandError::not_found(name.resource(), name.name()))
    }

    /// Binds and starts a listener.
    pub(super) fn open(
        &mut self,
        name: ListenerName,
        spec: &ListenerSpec,
        allow_non_backend: bool,
    ) -> Result<(), CommandError> {
        let backends = self.backends(&spec.backend)?;
        let security_group = self.security_group(spec.security_group.as_deref())?;
        let address = spec.address.to_string();
        let socket = bind(spec.address).map_err(|e| {
            CommandError::refused(
                &address,
                format!("cannot listen on address {address}: {}", e.source),
            )
        })?;
        let limits = self.limits;
        #[cfg(feature = "failpoints")]
        let allow_non_backend = crate::failpoints::allow_non_backend(allow_non_backend);
        let door = match &name {
            ListenerName::TcpLb(_) => {
                TcpLb::start(socket, backends, security_group, limits, &self.workers).map(Door::TcpLb)
            }
            ListenerName::Socks5Server(_) => Socks5Server::start(
                socket,
                backends,
                allow_non_backend,
                security_group,
                limits,
                &self.workers,
            )
            .map(Door::Socks5Server),
        };
        let door = door
            .map_err(|e| CommandError::refused(&address, format!("cannot serve address {address}: {e}")))?;
        self.listeners.insert(name, Arc::new(door));
        Ok(())
    }

    /// Takes a listener out: it accepts no more from now on, and the caller may wait until its address is free. Its
    /// connections live on, and are drained with the others.
    pub(super) fn take_listener(&mut self, name: &ListenerName) -> Option<Arc<Door>> {
        let door = self.listeners.remove(name)?;
        door.listener().stop_accepting();
        self.closed.retain(|d| !d.listener().is_over());
        self.closed.push(Arc::clone(&door));
        Some(door)
    }

    /// Every listener, the removed ones included that may have connections still.
    pub(super) fn doors(&self) -> Vec<Arc<Door>> {
        self.listeners.values().chain(&self.closed).cloned().collect()
    }
}

/// Ends listeners: they stop accepting at once, and their connections have until the deadline to finish. Returns how
/// many were cut then.
pub(super) async fn drain(doors: Vec<Arc<Door>>, deadline: Duration) -> usize {
    let mut drains = JoinSet::new();
    for door in doors {
        drains.spawn(async move { door.listener().drain(deadline).await });
    }
    drains.join_all().await.into_iter().sum()
}
