//! A change of a listener, for new connections: the keys of every kind, and those of its kind.

use std::fmt::Debug;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Body;

use super::add::Kind;
use super::{FORWARDED, references, resolve};
use crate::control::error::CommandError;
use crate::control::resources::args::{Args, Words};
use crate::control::resources::{self, Apply, Change, FromJson, Id, JsonError};
use crate::control::running::{ListenerHandle, ListenerName};
use crate::control::values::{ClientLimit, MillisOrZero, SecurityGroupRef, json, optional_json};

/// A change of the keys that only one kind of listener has.
pub(in crate::control) trait KindUpdate: Debug + DeserializeOwned + 'static {
    type Kind: Kind;

    fn parse(args: &mut Args) -> Result<Self, CommandError>;

    /// Writes its keys and flags.
    fn write(&self, words: &mut Words);

    /// Changes the configuration.
    fn change(&self, kind: &mut Self::Kind);

    /// Checks that a running listener may be changed so.
    fn check(&self, _: &ListenerHandle, _: &Apply<'_>) -> Result<(), CommandError> {
        Ok(())
    }

    /// Changes a running listener.
    fn apply(&self, running: &ListenerHandle);
}

/// `update KIND NAME [server-groups ..] [security-group ..] [max-connections-per-client ..]`, and the kind's own keys
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update<U> {
    common: Common,
    kind: U,
}

/// The keys of every kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Common {
    #[serde(deserialize_with = "json")]
    name: String,
    #[serde(default, rename = "backend", deserialize_with = "optional_json")]
    server_groups: Option<String>,
    #[serde(default, rename = "securityGroup", deserialize_with = "optional_json")]
    security_group: Option<SecurityGroupRef>,
    #[serde(default, deserialize_with = "optional_json")]
    hold: Option<MillisOrZero>,
    #[serde(default, rename = "idleTimeout", deserialize_with = "optional_json")]
    idle_timeout: Option<MillisOrZero>,
    #[serde(default, rename = "requestTimeout", deserialize_with = "optional_json")]
    request_timeout: Option<MillisOrZero>,
    #[serde(default, rename = "sendForwarded", deserialize_with = "optional_json")]
    send_forwarded: Option<bool>,
    #[serde(
        default,
        rename = "maxConnectionsPerClient",
        deserialize_with = "optional_json"
    )]
    client_limit: Option<ClientLimit>,
}

impl<U: KindUpdate> FromJson for Update<U> {
    fn from_json(body: Body) -> Result<Self, JsonError> {
        Ok(Self {
            common: Common::from_json(body.clone())?,
            kind: U::from_json(body)?,
        })
    }
}

#[expect(private_bounds, reason = "the kinds are those of this module")]
impl<U: KindUpdate> Update<U> {
    pub(in crate::control::resources) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            common: Common {
                name: args.name()?,
                server_groups: args.optional("server-groups")?,
                security_group: args.optional("security-group")?,
                hold: args.optional("hold")?,
                idle_timeout: args.optional("idle-timeout")?,
                request_timeout: args.optional("request-timeout")?,
                send_forwarded: args.flag(FORWARDED[0], FORWARDED[1])?,
                client_limit: args.optional("max-connections-per-client")?,
            },
            kind: U::parse(args)?,
        })
    }
}

impl<U: KindUpdate> Change for Update<U> {
    fn id(&self) -> Id {
        Id::new(U::Kind::RESOURCE, &self.common.name)
    }

    fn references(&self) -> Vec<Id> {
        let Common {
            server_groups,
            security_group,
            ..
        } = &self.common;
        references(server_groups.as_deref(), security_group.as_ref())
    }

    fn write(&self, words: &mut Words) {
        let common = &self.common;
        words
            .optional("server-groups", common.server_groups.as_ref())
            .optional("security-group", common.security_group.as_ref())
            .optional("hold", common.hold.as_ref())
            .optional("idle-timeout", common.idle_timeout.as_ref())
            .optional("request-timeout", common.request_timeout.as_ref())
            .switch(common.send_forwarded, FORWARDED[0], FORWARDED[1])
            .optional("max-connections-per-client", common.client_limit.as_ref());
        self.kind.write(words);
    }

    fn change(&self, add: &mut resources::Add) {
        let Some(add) = U::Kind::of_mut(add) else { return };
        let (from, to) = (&self.common, &mut add.common);
        if let Some(groups) = &from.server_groups {
            to.server_groups.clone_from(groups);
        }
        if let Some(group) = &from.security_group {
            to.security_group.clone_from(group);
        }
        to.hold = from.hold.unwrap_or(to.hold);
        to.idle_timeout = from.idle_timeout.unwrap_or(to.idle_timeout);
        to.request_timeout = from.request_timeout.unwrap_or(to.request_timeout);
        to.send_forwarded = from.send_forwarded.unwrap_or(to.send_forwarded);
        to.client_limit = from.client_limit.unwrap_or(to.client_limit);
        self.kind.change(&mut add.kind);
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let common = &self.common;
        let name = ListenerName::new(U::Kind::RESOURCE, &common.name);
        let running = at.running.listeners.get(&name).cloned();
        let running = running.ok_or_else(|| self.id().not_found())?;
        self.kind.check(&running, at)?;
        let security_group = common.security_group.as_ref();
        let security_group = security_group.map(|group| resolve(at, group)).transpose()?;
        if let Some(backend) = &common.server_groups {
            running.set_backends(at.running.backends(backend)?);
        }
        let listener = running.listener();
        if let Some(group) = security_group {
            listener.set_security_group(group);
        }
        if let Some(MillisOrZero(hold)) = common.hold {
            listener.set_hold(hold);
        }
        if let Some(MillisOrZero(timeout)) = common.idle_timeout {
            listener.set_idle_timeout(timeout);
        }
        if let Some(MillisOrZero(timeout)) = common.request_timeout {
            listener.set_request_timeout(timeout);
        }
        if let Some(send) = common.send_forwarded {
            listener.set_forwarded(send);
        }
        if let Some(ClientLimit(limit)) = common.client_limit {
            listener.set_client_limit(limit);
        }
        self.kind.apply(&running);
        Ok(())
    }
}
