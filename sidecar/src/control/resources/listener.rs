//! The parts that `tcp-lb` and `socks5-server` share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::security_group::{self, SecurityGroupDetail};
use super::server_groups::{self, ServerGroupsDetail};
use super::spec::Key;
use super::{Add, Apply, Config, Id, Parent, Read, Resource};
use crate::balance::{ServerGroups, Totals};
use crate::control::address::Address;
use crate::control::error::CommandError;
use crate::control::running::{ListenerHandle, ListenerName};
use crate::control::values::{ClientLimit, MillisOrZero, SecurityGroupRef};
use crate::proxy::access::SecurityGroup;
use crate::proxy::listener::bind;
use crate::proxy::{Limits, Refusals};

pub(super) const ADDRESS: Key = Key::required::<Address>(
    "address",
    "where the RESOURCE listens, as IP:PORT or HOST:PORT; with port 0 on a free one",
)
.short("addr");

pub(super) const SERVER_GROUPS: Key = Key::required::<String>(
    "server-groups",
    "the server-groups that the RESOURCE takes connections to",
)
.short("sgs")
.field("backend")
.updatable();

pub(super) const SECURITY_GROUP: Key = Key::default::<SecurityGroupRef>(
    "security-group",
    "(allow-all)",
    "the security-group that decides which clients are served, or (allow-all)",
)
.short("secg")
.field("securityGroup")
.updatable();

pub(super) const HOLD: Key = Key::default::<MillisOrZero>(
    "hold",
    "0",
    "time for which a new connection waits while no server takes it, in milliseconds; 0 refuses it at once",
)
.added()
.updatable();

pub(super) const IDLE_TIMEOUT: Key = Key::default::<MillisOrZero>(
    "idle-timeout",
    "0",
    "time without a byte in either direction after which a connection is reset, in milliseconds; 0 resets none",
)
.field("idleTimeout")
.added()
.updatable();

pub(super) const CLIENT_LIMIT: Key = Key::default::<ClientLimit>(
    "max-connections-per-client",
    "0",
    "how many connections one client address may have open; further ones are refused; 0 is no limit",
)
.field("maxConnectionsPerClient")
.added()
.updatable();

/// The parents of items that belong to a listener.
pub(super) const IN_LISTENER: &[&[Resource]] = &[&[Resource::TcpLb], &[Resource::Socks5Server]];

/// A running listener: what both kinds have. Keys that only one kind has are in that resource's file.
#[derive(Debug, Clone)]
pub struct ListenerView {
    /// Its kind and name.
    pub name: ListenerName,
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The server groups that it takes connections to.
    pub backend: String,
    /// The security group that decides which clients it serves; without one it serves all.
    pub security_group: Option<String>,
    /// Time for which a connection waits while no server takes it.
    pub hold: Duration,
    /// Idle timeout of its connections; zero is none.
    pub idle_timeout: Duration,
    /// How many connections one client address may have open; 0 is no limit.
    pub client_limit: u32,
    /// Connections and bytes so far.
    pub totals: Totals,
    /// Connections that were refused, by reason.
    pub refusals: Refusals,
    /// How often its limit of connections was reached.
    pub times_full: u64,
}

impl ListenerName {
    /// Its kind.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::TcpLb(_) => Resource::TcpLb,
            Self::Socks5Server(_) => Resource::Socks5Server,
        }
    }

    /// Its identity in the configuration.
    pub(in crate::control) fn id(&self) -> Id {
        Id::new(self.resource(), self.name())
    }

    /// The listener that is the outermost of parents.
    pub(in crate::control) fn of(parents: &[Parent]) -> Self {
        match parents.last() {
            Some(Parent {
                resource: Resource::Socks5Server,
                name,
            }) => Self::Socks5Server(name.clone()),
            Some(Parent { name, .. }) => Self::TcpLb(name.clone()),
            None => Self::TcpLb(String::new()),
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

/// A listener as configured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listener<'a> {
    pub(super) address: &'a Address,
    pub(super) server_groups: &'a str,
    pub(super) security_group: &'a SecurityGroupRef,
    pub(super) hold: MillisOrZero,
    pub(super) idle_timeout: MillisOrZero,
    pub(super) client_limit: ClientLimit,
}

impl Listener<'_> {
    /// The limits of its connections.
    pub(super) fn limits(self, at: &Apply<'_>) -> Limits {
        Limits {
            hold: self.hold.0,
            idle: self.idle_timeout.0,
            ..at.running.limits
        }
    }

    pub(super) fn references(self) -> Vec<Id> {
        references(Some(self.server_groups), Some(self.security_group))
    }

    /// Checks that no other listener has its address.
    pub(super) fn check(self, config: &Config) -> Result<(), CommandError> {
        let Self { address, .. } = self;
        let tcp_lbs = config.all(Resource::TcpLb);
        let taken = tcp_lbs
            .chain(config.all(Resource::Socks5Server))
            .find(|other| address_of(other).is_some_and(|other| same(other, address)));
        match taken {
            Some(other) => Err(CommandError::invalid(
                address.to_string(),
                format!("address {address} is taken by {}", other.id().write("in")),
            )),
            None => Ok(()),
        }
    }

    /// Binds it, and looks up the resources that it needs.
    pub(super) fn open(self, at: &Apply<'_>) -> Result<Opened, CommandError> {
        let address = self.address.resolved()?;
        check_loop(at, address)?;
        let backends = at.running.backends(self.server_groups)?;
        let security_group = resolve(at, self.security_group)?;
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

    /// The listener as it runs; None if it does not.
    pub(super) fn view(self, read: &Read<'_>, name: ListenerName) -> Option<ListenerView> {
        let running = read.running.listeners.get(&name)?.listener();
        Some(ListenerView {
            name,
            address: running.local_addr(),
            backend: self.server_groups.to_owned(),
            security_group: self.security_group.0.clone(),
            hold: self.hold.0,
            idle_timeout: self.idle_timeout.0,
            client_limit: self.client_limit.0,
            totals: running.totals(),
            refusals: running.refusals(),
            times_full: running.times_full(),
        })
    }
}

/// The command that adds a listener at the address that it is bound to: with its port in place of 0. Host names, and other
/// commands, stay as they are.
pub(in crate::control) fn with_bound_address(mut add: Add, read: &Read<'_>) -> Add {
    let (name, address) = match &mut add {
        Add::TcpLb(lb) => (ListenerName::TcpLb(lb.name.clone()), &mut lb.address),
        Add::Socks5Server(server) => (
            ListenerName::Socks5Server(server.name.clone()),
            &mut server.address,
        ),
        _ => return add,
    };
    if let (Address::Ip(ip), Some(running)) = (address, read.running.listeners.get(&name)) {
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

/// The parts that a listener starts with.
pub(super) struct Opened {
    pub(super) socket: std::net::TcpListener,
    pub(super) backends: Arc<ServerGroups>,
    pub(super) security_group: Option<Arc<SecurityGroup>>,
}

pub(super) fn cannot_serve(address: &Address, error: &std::io::Error) -> CommandError {
    CommandError::refused(
        address.to_string(),
        format!("cannot serve address {address}: {error}"),
    )
}

pub(super) fn references(server_groups: Option<&str>, security_group: Option<&SecurityGroupRef>) -> Vec<Id> {
    let groups = server_groups.map(|name| Id::new(Resource::ServerGroups, name));
    let group = security_group.and_then(|group| group.0.as_ref());
    let group = group.map(|name| Id::new(Resource::SecurityGroup, name));
    groups.into_iter().chain(group).collect()
}

/// Changes a running listener, for new connections.
pub(super) fn update(
    at: &Apply<'_>,
    name: &ListenerName,
    server_groups: Option<&str>,
    security_group: Option<&SecurityGroupRef>,
    (hold, idle_timeout): (Option<MillisOrZero>, Option<MillisOrZero>),
    client_limit: Option<ClientLimit>,
) -> Result<Arc<ListenerHandle>, CommandError> {
    let listener = at.running.listeners.get(name).cloned();
    let listener = listener.ok_or_else(|| name.id().not_found())?;
    let security_group = security_group.map(|group| resolve(at, group)).transpose()?;
    if let Some(backend) = server_groups {
        listener.set_backends(at.running.backends(backend)?);
    }
    if let Some(group) = security_group {
        listener.listener().set_security_group(group);
    }
    if let Some(MillisOrZero(hold)) = hold {
        listener.listener().set_hold(hold);
    }
    if let Some(MillisOrZero(timeout)) = idle_timeout {
        listener.listener().set_idle_timeout(timeout);
    }
    if let Some(limit) = client_limit {
        listener.listener().set_client_limit(limit.0);
    }
    Ok(listener)
}

/// The security group that a reference names.
fn resolve(at: &Apply<'_>, group: &SecurityGroupRef) -> Result<Option<Arc<SecurityGroup>>, CommandError> {
    group
        .0
        .as_deref()
        .map(|name| at.running.security_group(name))
        .transpose()
}

/// For HTTP, which leaves out a limit that is not set.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_unlimited(limit: &u32) -> bool {
    *limit == 0
}

fn address_of(add: &Add) -> Option<&Address> {
    match add {
        Add::TcpLb(lb) => Some(&lb.address),
        Add::Socks5Server(server) => Some(&server.address),
        _ => None,
    }
}

/// Whether two listeners would be bound to the same address. Two at port 0 get ports of their own.
fn same(one: &Address, other: &Address) -> bool {
    match (one.ip(), other.ip()) {
        (Some(one), Some(other)) => one == other && one.port() != 0,
        _ => one == other && one.host().is_some_and(|host| host.port() != 0),
    }
}

/// A running listener: what both kinds have. Keys that only one kind has are in that resource's file.
pub(super) fn line(view: &ListenerView) -> String {
    let group = SecurityGroupRef(view.security_group.clone());
    let mut line = format!(
        "bind {} backends {} security-group {group}",
        view.address, view.backend
    );
    for (key, time) in [("hold", view.hold), ("idle-timeout", view.idle_timeout)] {
        if !time.is_zero() {
            line.push_str(&format!(" {key} {}", time.as_millis()));
        }
    }
    if view.client_limit > 0 {
        line.push_str(&format!(" max-connections-per-client {}", view.client_limit));
    }
    line
}

/// A time for HTTP, in milliseconds; none if it is zero.
pub(super) fn json_millis(time: Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok().filter(|millis| *millis > 0)
}

/// The server groups and the security group of a listener, for HTTP.
pub(super) fn details(
    read: &Read<'_>,
    view: &ListenerView,
) -> Result<(ServerGroupsDetail, SecurityGroupDetail), CommandError> {
    Ok((
        server_groups::detail(read, &view.backend)?,
        security_group::detail_of(read, view.security_group.as_deref()),
    ))
}
