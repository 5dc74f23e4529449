//! The parts that every kind of listener shares. A kind is a [`Kind`], with the keys that only it has, in its own file.

mod add;
mod keys;
mod update;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

pub(super) use self::add::{Add, Common, Kind, running};
pub(super) use self::keys::{
    ADDRESS, CLIENT_LIMIT, FORWARDED, HOLD, IDLE_TIMEOUT, REQUEST_TIMEOUT, SECURITY_GROUP, SEND_FORWARDED,
    SERVER_GROUPS,
};
pub(super) use self::update::{KindUpdate, Update};
pub use self::view::ListenerView;
pub(super) use self::view::{details, is_unlimited, json_millis, line};
use super::{Apply, Config, Id, Parent, Read, Resource};
use crate::balance::ServerGroups;
use crate::control::address::Address;
use crate::control::error::CommandError;
use crate::control::running::{ListenerHandle, ListenerName};
use crate::control::values::SecurityGroupRef;
use crate::proxy::access::SecurityGroup;
use crate::proxy::listener::bind;

/// The kinds of listeners.
const KINDS: &[Resource] = &[Resource::TcpLb, Resource::Socks5Server, Resource::HttpProxy];

/// The parents of items that belong to a listener.
pub(super) const IN_LISTENER: &[&[Resource]] = &[
    &[Resource::TcpLb],
    &[Resource::Socks5Server],
    &[Resource::HttpProxy],
];

impl ListenerName {
    /// Its identity in the configuration.
    pub(in crate::control) fn id(&self) -> Id {
        Id::new(self.resource(), self.name())
    }

    /// The listener that is the outermost of parents.
    pub(in crate::control) fn of(parents: &[Parent]) -> Self {
        match parents.last() {
            Some(Parent { resource, name }) => Self::new(*resource, name),
            None => Self::new(Resource::TcpLb, ""),
        }
    }
}

impl Read<'_> {
    /// The listener that an item belongs to.
    pub(super) fn listener(&self, parents: &[Parent]) -> Result<Arc<ListenerHandle>, CommandError> {
        let name = ListenerName::of(parents);
        let listener = self.running.listeners.get(&name).cloned();
        listener.ok_or_else(|| name.id().not_found())
    }
}

/// Checks that no other listener has an address.
fn check_free(address: &Address, config: &Config) -> Result<(), CommandError> {
    let mut all = KINDS.iter().flat_map(|kind| config.all(*kind));
    let has_it = |other: &&super::Add| {
        let other = other.inner().listener();
        other.is_some_and(|(_, other)| same(other, address))
    };
    match all.find(has_it) {
        Some(other) => Err(CommandError::invalid(
            address.to_string(),
            format!("address {address} is taken by {}", other.id().write("in")),
        )),
        None => Ok(()),
    }
}

/// Whether two listeners would be bound to the same address. Two at port 0 get ports of their own.
fn same(one: &Address, other: &Address) -> bool {
    match (one.ip(), other.ip()) {
        (Some(one), Some(other)) => one == other && one.port() != 0,
        _ => one == other && one.host().is_some_and(|host| host.port() != 0),
    }
}

/// The parts that a listener starts with.
pub(in crate::control) struct Opened {
    pub(super) socket: std::net::TcpListener,
    pub(super) backends: Arc<ServerGroups>,
    pub(super) security_group: Option<Arc<SecurityGroup>>,
}

/// Binds a listener, and looks up the resources that it needs.
fn open(
    address: &Address,
    server_groups: &str,
    security_group: &SecurityGroupRef,
    at: &Apply<'_>,
) -> Result<Opened, CommandError> {
    let address = address.resolved()?;
    check_loop(at, address)?;
    let backends = at.running.backends(server_groups)?;
    let security_group = resolve(at, security_group)?;
    let activated = at.running.sockets.take(address);
    let socket = activated.map_or_else(|| bind(address), Ok).map_err(|error| {
        CommandError::refused(
            address.to_string(),
            format!("cannot listen on address {address}: {}", error.source),
        )
    })?;
    // Another one than before if its port was 0.
    check_loop(at, socket.local_addr().unwrap_or(address))?;
    Ok(Opened {
        socket,
        backends,
        security_group,
    })
}

/// The command that adds a listener at the address that it is bound to: with its port in place of 0. Host names, and other
/// commands, stay as they are.
pub(in crate::control) fn with_bound_address(mut add: super::Add, read: &Read<'_>) -> super::Add {
    let listener = add.inner().listener();
    let running = listener.and_then(|(name, _)| read.running.listeners.get(&name));
    if let (Some(running), Some(Address::Ip(ip))) = (running, add.inner_mut().address()) {
        *ip = running.listener().local_addr();
    }
    add
}

/// Refuses a listener that a server leads to: its connections would come back to it.
fn check_loop(at: &Apply<'_>, address: SocketAddr) -> Result<(), CommandError> {
    match at.running.server_at(address) {
        Some((group, server)) => Err(CommandError::refused(
            address.to_string(),
            format!(
                "address {address} is reached by server {} of server-group {group} (at {}): its connections would \
                 come back here, without end. Remove the server, or listen elsewhere",
                server.name, server.address
            ),
        )),
        None => Ok(()),
    }
}

fn cannot_serve(address: &Address, error: &std::io::Error) -> CommandError {
    CommandError::refused(
        address.to_string(),
        format!("cannot serve address {address}: {error}"),
    )
}

fn references(server_groups: Option<&str>, security_group: Option<&SecurityGroupRef>) -> Vec<Id> {
    let groups = server_groups.map(|name| Id::new(Resource::ServerGroups, name));
    let group = security_group.and_then(|group| group.0.as_ref());
    let group = group.map(|name| Id::new(Resource::SecurityGroup, name));
    groups.into_iter().chain(group).collect()
}

/// The security group that a reference names.
fn resolve(at: &Apply<'_>, group: &SecurityGroupRef) -> Result<Option<Arc<SecurityGroup>>, CommandError> {
    group
        .0
        .as_deref()
        .map(|name| at.running.security_group(name))
        .transpose()
}
