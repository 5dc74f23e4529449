//! A listener to add: the keys of every kind, and those of its kind.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Body;

use super::{FORWARDED, ListenerView, Opened, cannot_serve, check_free, open, references};
use crate::control::address::Address;
use crate::control::error::CommandError;
use crate::control::resources::args::{Args, Words};
use crate::control::resources::{self, Apply, Config, Configured, FromJson, Id, JsonError, Read, Resource};
use crate::control::running::{ListenerHandle, ListenerName};
use crate::control::values::{ClientLimit, MillisOrZero, SecurityGroupRef, json};
use crate::proxy::Limits;

/// A kind of listener: the keys that only it has, with their values.
pub(in crate::control) trait Kind: Debug + DeserializeOwned + Sized + 'static {
    const RESOURCE: Resource;

    fn parse(args: &mut Args) -> Result<Self, CommandError>;

    /// Writes its keys and flags.
    fn write(&self, words: &mut Words);

    /// Checks that its keys go together.
    fn check_keys(&self, _: &Common) -> Result<(), CommandError> {
        Ok(())
    }

    /// Checks that it may listen on this address.
    fn check_address(&self, _: SocketAddr, _: &Apply<'_>) -> Result<(), CommandError> {
        Ok(())
    }

    /// Serves the clients of a socket.
    fn start(&self, opened: Opened, limits: Limits, at: &Apply<'_>) -> io::Result<ListenerHandle>;

    /// The listener to add, if it is one of this kind.
    fn of(add: &resources::Add) -> Option<&Add<Self>>;

    /// The listener to add, if it is one of this kind.
    fn of_mut(add: &mut resources::Add) -> Option<&mut Add<Self>>;
}

/// `add KIND NAME address .. server-groups .. [security-group ..] [max-connections-per-client ..]`, and the kind's own keys
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add<K> {
    pub(in crate::control::resources) common: Common,
    pub(in crate::control::resources) kind: K,
}

/// The keys of every kind, with their values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::control) struct Common {
    #[serde(deserialize_with = "json")]
    pub(in crate::control::resources) name: String,
    #[serde(deserialize_with = "json")]
    pub(super) address: Address,
    #[serde(rename = "backend", deserialize_with = "json")]
    pub(super) server_groups: String,
    #[serde(default, rename = "securityGroup", deserialize_with = "json")]
    pub(in crate::control::resources) security_group: SecurityGroupRef,
    #[serde(default, deserialize_with = "json")]
    pub(super) hold: MillisOrZero,
    #[serde(default, rename = "idleTimeout", deserialize_with = "json")]
    pub(super) idle_timeout: MillisOrZero,
    #[serde(default, rename = "requestTimeout", deserialize_with = "json")]
    pub(in crate::control::resources) request_timeout: MillisOrZero,
    #[serde(default, rename = "sendForwarded", deserialize_with = "json")]
    pub(in crate::control::resources) send_forwarded: bool,
    #[serde(default, rename = "maxConnectionsPerClient", deserialize_with = "json")]
    pub(super) client_limit: ClientLimit,
}

impl<K: Kind> FromJson for Add<K> {
    fn from_json(body: Body) -> Result<Self, JsonError> {
        Ok(Self {
            common: Common::from_json(body.clone())?,
            kind: K::from_json(body)?,
        })
    }
}

#[expect(private_bounds, reason = "the kinds are those of this module")]
impl<K: Kind> Add<K> {
    pub(in crate::control::resources) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            common: Common {
                name: args.name()?,
                address: args.required("address")?,
                server_groups: args.required("server-groups")?,
                security_group: args.optional("security-group")?.unwrap_or_default(),
                hold: args.optional("hold")?.unwrap_or_default(),
                idle_timeout: args.optional("idle-timeout")?.unwrap_or_default(),
                request_timeout: args.optional("request-timeout")?.unwrap_or_default(),
                send_forwarded: args.flag(FORWARDED[0], FORWARDED[1])?.unwrap_or_default(),
                client_limit: args.optional("max-connections-per-client")?.unwrap_or_default(),
            },
            kind: K::parse(args)?,
        })
    }

    fn listener_name(&self) -> ListenerName {
        ListenerName::new(K::RESOURCE, &self.common.name)
    }

    /// The listener as it runs; `None` if it does not.
    fn view(&self, read: &Read<'_>) -> Option<ListenerView> {
        let name = self.listener_name();
        let handle = read.running.listeners.get(&name)?;
        let running = handle.listener();
        let Common {
            server_groups,
            security_group,
            hold,
            idle_timeout,
            request_timeout,
            send_forwarded,
            client_limit,
            ..
        } = &self.common;
        Some(ListenerView {
            name,
            address: running.local_addr(),
            protocol: handle.protocol(),
            backend: server_groups.clone(),
            security_group: security_group.0.clone(),
            hold: hold.0,
            idle_timeout: idle_timeout.0,
            request_timeout: request_timeout.0,
            send_forwarded: *send_forwarded,
            client_limit: client_limit.0,
            totals: running.totals(),
            requests: running.requests().read(),
            refusals: running.refusals(),
            times_full: running.times_full(),
        })
    }
}

/// Each running listener of a kind: as configured, and as it runs.
pub(in crate::control::resources) fn running<'a, K: Kind>(
    read: &'a Read<'_>,
) -> impl Iterator<Item = (&'a Add<K>, ListenerView)> {
    let all = read.config.all(K::RESOURCE).filter_map(K::of);
    all.filter_map(|add| Some((add, add.view(read)?)))
}

impl<K: Kind> Configured for Add<K> {
    fn id(&self) -> Id {
        Id::new(K::RESOURCE, &self.common.name)
    }

    fn references(&self) -> Vec<Id> {
        let Common {
            server_groups,
            security_group,
            ..
        } = &self.common;
        references(Some(server_groups), Some(security_group))
    }

    fn check(&self, config: &Config) -> Result<(), CommandError> {
        check_free(&self.common.address, config)
    }

    fn check_keys(&self) -> Result<(), CommandError> {
        self.kind.check_keys(&self.common)
    }

    fn listens_on(&self) -> Option<IpAddr> {
        self.common.address.host_ip()
    }

    fn address(&mut self) -> Option<&mut Address> {
        Some(&mut self.common.address)
    }

    fn listener(&self) -> Option<(ListenerName, &Address)> {
        Some((self.listener_name(), &self.common.address))
    }

    fn write(&self, words: &mut Words) {
        let common = &self.common;
        words
            .key("address", &common.address)
            .key("server-groups", &common.server_groups)
            .unless_default("security-group", &common.security_group)
            .unless_default("hold", &common.hold)
            .unless_default("idle-timeout", &common.idle_timeout)
            .unless_default("request-timeout", &common.request_timeout)
            .if_on(common.send_forwarded, FORWARDED[0])
            .unless_default("max-connections-per-client", &common.client_limit);
        self.kind.write(words);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let common = &self.common;
        self.kind.check_address(common.address.resolved()?, at)?;
        let opened = open(&common.address, &common.server_groups, &common.security_group, at)?;
        let limits = Limits {
            hold: common.hold.0,
            idle: common.idle_timeout.0,
            ..at.running.limits
        };
        let started = self.kind.start(opened, limits, at);
        let handle = started.map_err(|error| cannot_serve(&common.address, &error))?;
        let listener = handle.listener();
        listener.set_request_timeout(common.request_timeout.0);
        listener.set_forwarded(common.send_forwarded);
        listener.set_client_limit(common.client_limit.0);
        at.running.add_listener(self.listener_name(), handle);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        Ok(at.running.take_listener(&self.listener_name()))
    }
}
