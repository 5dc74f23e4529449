//! `socks5-server`: a listener that speaks SOCKS5.

mod answers;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Deserialize;

use self::answers::{Socks5Server, Socks5ServerDetail};
use super::args::{Args, Words};
use super::listener::{self, Listener, ListenerView, Opened};
use super::original;
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Change, Config, Configured, Id, Listing, Parent, Read, Resource};
use crate::control::address::Address;
use crate::control::error::CommandError;
use crate::control::running::{ListenerHandle, ListenerName};
use crate::control::values::{ClientLimit, MillisOrZero, SecurityGroupRef, json, optional_json};
use crate::proxy::socks5::Socks5Server as Running;

const ALLOW: &str = "allow-non-backend";
const DENY: &str = "deny-non-backend";
const ALLOW_LOCAL: &str = "allow-local";
const DENY_LOCAL: &str = "deny-local";

pub(super) const SPEC: Spec = Spec {
    word: "socks5-server",
    short: Some("socks5"),
    help: "a listener that speaks SOCKS5",
    within: TOP,
    keys: &[
        listener::ADDRESS,
        listener::SERVER_GROUPS,
        listener::SECURITY_GROUP,
        listener::HOLD,
        listener::IDLE_TIMEOUT,
        listener::CLIENT_LIMIT,
        Key::flag(
            ALLOW,
            DENY,
            "whether clients reach destinations other than the backends",
        )
        .field("allowNonBackend")
        .updatable(),
        Key::flag(
            ALLOW_LOCAL,
            DENY_LOCAL,
            "with allow-non-backend on an address beyond loopback: whether clients reach loopback and link-local \
             destinations, too",
        )
        .field("allowLocal")
        .updatable(),
    ],
    foreign: original::SOCKS5_KEYS,
};

/// `add socks5-server NAME address .. server-groups .. [security-group ..] [max-connections-per-client ..] [allow-non-backend] [allow-local]`
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
    #[serde(default, rename = "maxConnectionsPerClient", deserialize_with = "json")]
    pub(super) client_limit: ClientLimit,
    #[serde(default, rename = "allowNonBackend", deserialize_with = "json")]
    pub(super) allow_non_backend: bool,
    #[serde(default, rename = "allowLocal", deserialize_with = "json")]
    pub(super) allow_local: bool,
}

/// `update socks5-server NAME [server-groups ..] [security-group ..] [max-connections-per-client ..] [allow-non-backend|deny-non-backend]
/// [allow-local|deny-local]`
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
    #[serde(
        default,
        rename = "maxConnectionsPerClient",
        deserialize_with = "optional_json"
    )]
    pub(super) client_limit: Option<ClientLimit>,
    #[serde(default, rename = "allowNonBackend", deserialize_with = "optional_json")]
    pub(super) allow_non_backend: Option<bool>,
    #[serde(default, rename = "allowLocal", deserialize_with = "optional_json")]
    pub(super) allow_local: Option<bool>,
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
            client_limit: args.optional("max-connections-per-client")?.unwrap_or_default(),
            allow_non_backend: args.flag(ALLOW, DENY)?.unwrap_or_default(),
            allow_local: args.flag(ALLOW_LOCAL, DENY_LOCAL)?.unwrap_or_default(),
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
        ListenerName::Socks5Server(self.name.clone())
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::Socks5Server, &self.name)
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
        if self.allow_non_backend {
            words.flag(ALLOW);
        }
        if self.allow_local {
            words.flag(ALLOW_LOCAL);
        }
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        check_open(self.address.resolved()?, self.allow_non_backend, at)?;
        let Opened {
            socket,
            backends,
            security_group,
        } = self.listener().open(at)?;
        let (limits, workers) = (self.listener().limits(at), &at.running.workers);
        let allow = self.allow_non_backend;
        #[cfg(feature = "failpoints")]
        let allow = crate::failpoints::allow_non_backend(allow);
        let running = Running::start(socket, backends, allow, security_group, limits, workers)
            .map_err(|error| listener::cannot_serve(&self.address, &error))?;
        running.set_allow_local(self.allow_local);
        running.listener().set_client_limit(self.client_limit.0);
        let handle = ListenerHandle::Socks5Server(running);
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
            client_limit: args.optional("max-connections-per-client")?,
            allow_non_backend: args.flag(ALLOW, DENY)?,
            allow_local: args.flag(ALLOW_LOCAL, DENY_LOCAL)?,
        })
    }
}

impl Change for Update {
    fn id(&self) -> Id {
        Id::new(Resource::Socks5Server, &self.name)
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
        for (flag, on, off) in [
            (self.allow_non_backend, ALLOW, DENY),
            (self.allow_local, ALLOW_LOCAL, DENY_LOCAL),
        ] {
            match flag {
                Some(true) => words.flag(on),
                Some(false) => words.flag(off),
                None => &mut *words,
            };
        }
    }

    fn change(&self, add: &mut super::Add) {
        let super::Add::Socks5Server(server) = add else {
            return;
        };
        if let Some(groups) = &self.server_groups {
            server.server_groups.clone_from(groups);
        }
        if let Some(group) = &self.security_group {
            server.security_group.clone_from(group);
        }
        server.hold = self.hold.unwrap_or(server.hold);
        server.idle_timeout = self.idle_timeout.unwrap_or(server.idle_timeout);
        server.client_limit = self.client_limit.unwrap_or(server.client_limit);
        server.allow_non_backend = self.allow_non_backend.unwrap_or(server.allow_non_backend);
        server.allow_local = self.allow_local.unwrap_or(server.allow_local);
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let name = ListenerName::Socks5Server(self.name.clone());
        if let Some(running) = at.running.listeners.get(&name) {
            let address = running.listener().local_addr();
            check_open(address, self.allow_non_backend.unwrap_or_default(), at)?;
        }
        let (server_groups, security_group) = (self.server_groups.as_deref(), self.security_group.as_ref());
        let times = (self.hold, self.idle_timeout);
        let listener = listener::update(at, &name, server_groups, security_group, times, self.client_limit)?;
        if let ListenerHandle::Socks5Server(server) = &*listener {
            if let Some(allow) = self.allow_local {
                server.set_allow_local(allow);
            }
            if let Some(allow) = self.allow_non_backend {
                server.set_allow_non_backend(allow);
            }
        }
        Ok(())
    }
}

/// Refuses a server that makes connections to any destination for anyone who reaches it, unless the sidecar was started
/// with leave to have such servers.
fn check_open(address: SocketAddr, allow_non_backend: bool, at: &Apply<'_>) -> Result<(), CommandError> {
    if !allow_non_backend || at.running.allow_open_proxies || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(CommandError::refused(
        ALLOW,
        format!(
            "anyone who can reach {address} could connect to any destination from this machine. Listen on 127.0.0.1, \
             leave {ALLOW} out, or start the sidecar with --allow-open-proxies"
        ),
    ))
}

/// Each running SOCKS5 server: as configured, and as it runs.
pub(super) fn running<'a>(read: &'a Read<'_>) -> impl Iterator<Item = (&'a Add, ListenerView)> {
    let all = read.config.all(Resource::Socks5Server);
    all.filter_map(|add| match add {
        super::Add::Socks5Server(server) => {
            let view = server.listener().view(read, server.listener_name())?;
            Some((server, view))
        }
        _ => None,
    })
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = running(read).map(|(server, view)| {
        let flag = if server.allow_non_backend { ALLOW } else { DENY };
        let local = if server.allow_local { " allow-local" } else { "" };
        (
            server.name.clone(),
            format!("{} {flag}{local}", listener::line(&view)),
        )
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| {
            Ok(running(read)
                .map(|(server, view)| Socks5Server::of(server, view))
                .collect())
        },
        |read, _| {
            running(read)
                .map(|(server, view)| Socks5ServerDetail::of(read, server, &view))
                .collect()
        },
    )
}
