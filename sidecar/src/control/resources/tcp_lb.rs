//! `tcp-lb`: a listener that balances TCP connections.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::args::{Args, Words};
use super::listener::{self, Listener, ListenerView, Opened};
use super::original::{self, EventLoopGroup};
use super::security_group::SecurityGroupDetail;
use super::server_groups::ServerGroupsDetail;
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Change, Config, Configured, Id, Listing, Parent, Read, Resource};
use crate::control::address::Address;
use crate::control::error::CommandError;
use crate::control::running::{ListenerHandle, ListenerName};
use crate::control::values::{ClientLimit, MillisOrZero, SecurityGroupRef, json, optional_json};
use crate::proxy::tcp_lb::TcpLb as Running;

const SEND: &str = "send-proxy";
const OMIT: &str = "omit-proxy";

pub(super) const SPEC: Spec = Spec {
    word: "tcp-lb",
    short: Some("tl"),
    help: "a listener that balances TCP connections",
    within: TOP,
    keys: &[
        listener::ADDRESS,
        listener::SERVER_GROUPS,
        listener::SECURITY_GROUP,
        listener::HOLD,
        listener::IDLE_TIMEOUT,
        Key::flag(
            SEND,
            OMIT,
            "whether connections to servers begin with a header of the PROXY protocol, version 2, with the client's address",
        )
        .field("sendProxy")
        .added()
        .updatable(),
        listener::CLIENT_LIMIT,
    ],
    foreign: original::TCP_LB_KEYS,
};

/// `add tcp-lb NAME address .. server-groups .. [security-group ..] [max-connections-per-client ..]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(deserialize_with = "json")]
    pub(super) address: Address,
    #[serde(rename = "backend", deserialize_with = "json")]
    pub(super) server_groups: String,
    #[serde(default, rename = "securityGroup", deserialize_with = "json")]
    pub(super) security_group: SecurityGroupRef,
    #[serde(default, deserialize_with = "json")]
    pub(super) hold: MillisOrZero,
    #[serde(default, rename = "idleTimeout", deserialize_with = "json")]
    pub(super) idle_timeout: MillisOrZero,
    #[serde(default, rename = "sendProxy", deserialize_with = "json")]
    pub(super) send_proxy: bool,
    #[serde(default, rename = "maxConnectionsPerClient", deserialize_with = "json")]
    pub(super) client_limit: ClientLimit,
}

/// `update tcp-lb NAME [server-groups ..] [security-group ..] [max-connections-per-client ..]`, for new connections
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Update {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(default, rename = "backend", deserialize_with = "optional_json")]
    pub(super) server_groups: Option<String>,
    #[serde(default, rename = "securityGroup", deserialize_with = "optional_json")]
    pub(super) security_group: Option<SecurityGroupRef>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) hold: Option<MillisOrZero>,
    #[serde(default, rename = "idleTimeout", deserialize_with = "optional_json")]
    pub(super) idle_timeout: Option<MillisOrZero>,
    #[serde(default, rename = "sendProxy", deserialize_with = "optional_json")]
    pub(super) send_proxy: Option<bool>,
    #[serde(
        default,
        rename = "maxConnectionsPerClient",
        deserialize_with = "optional_json"
    )]
    pub(super) client_limit: Option<ClientLimit>,
}

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            address: args.required("address")?,
            server_groups: args.required("server-groups")?,
            security_group: args.optional("security-group")?.unwrap_or_default(),
            hold: args.optional("hold")?.unwrap_or_default(),
            idle_timeout: args.optional("idle-timeout")?.unwrap_or_default(),
            send_proxy: args.flag(SEND, OMIT)?.unwrap_or_default(),
            client_limit: args.optional("max-connections-per-client")?.unwrap_or_default(),
        })
    }

    fn listener(&self) -> Listener<'_> {
        Listener {
            address: &self.address,
            server_groups: &self.server_groups,
            security_group: &self.security_group,
            hold: self.hold,
            idle_timeout: self.idle_timeout,
            client_limit: self.client_limit,
        }
    }

    fn listener_name(&self) -> ListenerName {
        ListenerName::TcpLb(self.name.clone())
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::TcpLb, &self.name)
    }

    fn references(&self) -> Vec<Id> {
        self.listener().references()
    }

    fn check(&self, config: &Config) -> Result<(), CommandError> {
        self.listener().check(config)
    }

    fn listens_on(&self) -> Option<IpAddr> {
        self.address.host_ip()
    }

    fn address(&mut self) -> Option<&mut Address> {
        Some(&mut self.address)
    }

    fn write(&self, words: &mut Words) {
        words
            .key("address", &self.address)
            .key("server-groups", &self.server_groups)
            .unless_default("security-group", &self.security_group)
            .unless_default("hold", &self.hold)
            .unless_default("idle-timeout", &self.idle_timeout)
            .unless_default("max-connections-per-client", &self.client_limit);
        if self.send_proxy {
            words.flag(SEND);
        }
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let Opened {
            socket,
            backends,
            security_group,
        } = self.listener().open(at)?;
        let (limits, workers) = (self.listener().limits(at), &at.running.workers);
        let running = Running::start(socket, backends, security_group, limits, workers)
            .map_err(|error| listener::cannot_serve(&self.address, &error))?;
        running.listener().set_client_limit(self.client_limit.0);
        running.set_send_proxy(self.send_proxy);
        let handle = ListenerHandle::TcpLb(running);
        at.running.add_listener(self.listener_name(), handle);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        Ok(at.running.take_listener(&self.listener_name()))
    }
}

impl Update {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            server_groups: args.optional("server-groups")?,
            security_group: args.optional("security-group")?,
            hold: args.optional("hold")?,
            idle_timeout: args.optional("idle-timeout")?,
            send_proxy: args.flag(SEND, OMIT)?,
            client_limit: args.optional("max-connections-per-client")?,
        })
    }
}

impl Change for Update {
    fn id(&self) -> Id {
        Id::new(Resource::TcpLb, &self.name)
    }

    fn references(&self) -> Vec<Id> {
        listener::references(self.server_groups.as_deref(), self.security_group.as_ref())
    }

    fn write(&self, words: &mut Words) {
        words
            .optional("server-groups", self.server_groups.as_ref())
            .optional("security-group", self.security_group.as_ref())
            .optional("hold", self.hold.as_ref())
            .optional("idle-timeout", self.idle_timeout.as_ref())
            .optional("max-connections-per-client", self.client_limit.as_ref());
        match self.send_proxy {
            Some(true) => words.flag(SEND),
            Some(false) => words.flag(OMIT),
            None => &mut *words,
        };
    }

    fn change(&self, add: &mut super::Add) {
        let super::Add::TcpLb(lb) = add else { return };
        if let Some(groups) = &self.server_groups {
            lb.server_groups.clone_from(groups);
        }
        if let Some(group) = &self.security_group {
            lb.security_group.clone_from(group);
        }
        lb.hold = self.hold.unwrap_or(lb.hold);
        lb.idle_timeout = self.idle_timeout.unwrap_or(lb.idle_timeout);
        lb.send_proxy = self.send_proxy.unwrap_or(lb.send_proxy);
        lb.client_limit = self.client_limit.unwrap_or(lb.client_limit);
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let name = ListenerName::TcpLb(self.name.clone());
        let (server_groups, security_group) = (self.server_groups.as_deref(), self.security_group.as_ref());
        let times = (self.hold, self.idle_timeout);
        listener::update(at, &name, server_groups, security_group, times, self.client_limit).map(|_| ())
    }
}

/// Each running load balancer: as configured, and as it runs.
pub(super) fn running<'a>(read: &'a Read<'_>) -> impl Iterator<Item = (&'a Add, ListenerView)> {
    read.config.all(Resource::TcpLb).filter_map(|add| match add {
        super::Add::TcpLb(lb) => Some((lb, lb.listener().view(read, lb.listener_name())?)),
        _ => None,
    })
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = running(read).map(|(lb, view)| {
        let send = if lb.send_proxy { " send-proxy" } else { "" };
        (lb.name.clone(), format!("{}{send}", listener::line(&view)))
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| Ok(running(read).map(|(lb, view)| TcpLb::of(lb, view)).collect()),
        |read, _| {
            running(read)
                .map(|(lb, view)| TcpLbDetail::of(read, lb, &view))
                .collect()
        },
    )
}

/// A listener that balances TCP connections.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TcpLb {
    /// Its name.
    name: String,
    /// The address that it listens on.
    address: String,
    /// The server-groups that it takes connections to.
    backend: String,
    /// Always tcp.
    protocol: &'static str,
    /// For the original's clients; always the same.
    acceptor_loop_group: &'static str,
    /// For the original's clients; always the same.
    worker_loop_group: &'static str,
    /// For the original's clients; always the same.
    in_buffer_size: u32,
    /// For the original's clients; always the same.
    out_buffer_size: u32,
    /// For the original's clients; always null.
    #[cfg_attr(test, schema(schema_with = original::null))]
    list_of_cert_key: (),
    /// The security-group that decides which clients it serves.
    security_group: String,
    /// Time for which a new connection waits while no server takes it, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<u64>,
    /// Time without a byte after which a connection is reset, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<u64>,
    /// How many connections one client address may have open; left out if there is no limit, as the original does.
    #[serde(skip_serializing_if = "listener::is_unlimited")]
    max_connections_per_client: u32,
    /// Whether connections to servers begin with a header of the PROXY protocol; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    send_proxy: bool,
}

/// A listener that balances TCP connections, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TcpLbDetail {
    /// Its name.
    name: String,
    /// The address that it listens on.
    address: String,
    /// Always tcp.
    protocol: &'static str,
    /// The server-groups that it takes connections to.
    backend: ServerGroupsDetail,
    /// For the original's clients; always the same.
    acceptor_loop_group: EventLoopGroup,
    /// For the original's clients; always the same.
    worker_loop_group: EventLoopGroup,
    /// For the original's clients; always the same.
    in_buffer_size: u32,
    /// For the original's clients; always the same.
    out_buffer_size: u32,
    /// For the original's clients; always null.
    #[cfg_attr(test, schema(schema_with = original::null))]
    list_of_cert_key: (),
    /// The security-group that decides which clients it serves.
    security_group: SecurityGroupDetail,
    /// Time for which a new connection waits while no server takes it, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<u64>,
    /// Time without a byte after which a connection is reset, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<u64>,
    /// How many connections one client address may have open; left out if there is no limit, as the original does.
    #[serde(skip_serializing_if = "listener::is_unlimited")]
    max_connections_per_client: u32,
    /// Whether connections to servers begin with a header of the PROXY protocol; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    send_proxy: bool,
}

impl TcpLb {
    fn of(lb: &Add, view: ListenerView) -> Self {
        Self {
            name: lb.name.clone(),
            address: view.address.to_string(),
            backend: view.backend,
            protocol: "tcp",
            acceptor_loop_group: original::ACCEPTOR,
            worker_loop_group: original::WORKER,
            in_buffer_size: original::BUFFER_SIZE,
            out_buffer_size: original::BUFFER_SIZE,
            list_of_cert_key: (),
            security_group: lb.security_group.to_string(),
            hold: listener::json_millis(view.hold),
            idle_timeout: listener::json_millis(view.idle_timeout),
            send_proxy: lb.send_proxy,
            max_connections_per_client: view.client_limit,
        }
    }
}

impl TcpLbDetail {
    fn of(read: &Read<'_>, lb: &Add, view: &ListenerView) -> Result<Self, CommandError> {
        let (backend, security_group) = listener::details(read, view)?;
        Ok(Self {
            name: lb.name.clone(),
            address: view.address.to_string(),
            protocol: "tcp",
            backend,
            acceptor_loop_group: original::acceptor(),
            worker_loop_group: original::worker(),
            in_buffer_size: original::BUFFER_SIZE,
            out_buffer_size: original::BUFFER_SIZE,
            list_of_cert_key: (),
            security_group,
            hold: listener::json_millis(view.hold),
            idle_timeout: listener::json_millis(view.idle_timeout),
            send_proxy: lb.send_proxy,
            max_connections_per_client: view.client_limit,
        })
    }
}
