//! `server-group`: servers with one balancing method and one health check.

mod answers;
mod view;

use std::sync::Arc;

use serde::Deserialize;

use self::answers::ServerGroup;
pub(super) use self::answers::ServerGroupDetail;
pub use self::view::GroupView;
pub(in crate::control) use self::view::views;
pub(super) use self::view::{line, view};
use super::args::{Args, Words};
use super::original;
use super::spec::{Continues, Key, Spec, TOP};
use super::{Api, Apply, Change, Configured, Id, Listing, Parent, Read, Resource};
use crate::balance::{CheckConfig, CheckKind, Method, Protocol, ServerGroup as Running};
use crate::control::error::CommandError;
use crate::control::running::{Group, ListenerHandle};
use crate::control::values::{Checks, Eject, Host, Millis, ServerPort, Value, json, optional_json};

pub(super) const SPEC: Spec = Spec {
    word: "server-group",
    short: Some("sg"),
    help: "servers with one balancing method and one health check",
    within: TOP,
    keys: &[
        Key::required::<Millis>("timeout", "timeout of a health check, in milliseconds")
            .sample(1000)
            .updatable(),
        Key::required::<Millis>("period", "interval between health checks, in milliseconds")
            .sample(5000)
            .updatable(),
        Key::required::<Checks>("up", "consecutive passed checks that bring a server up")
            .sample(2)
            .updatable(),
        Key::required::<Checks>("down", "consecutive failed checks that bring a server down")
            .sample(3)
            .updatable(),
        // The original's own text, which its error messages show.
        Key::default::<Method>("method", "wrr", "load balancing method")
            .short("meth")
            .updatable(),
        Key::default::<CheckKind>("check", "tcp", "how servers are checked")
            .continues(Continues::After("http"))
            .added()
            .updatable(),
        Key::default::<Protocol>(
            "protocol",
            "tcp",
            "what connections carry that name the group at a SOCKS5 server: of tcp each connection is balanced as a \
             whole, of http/1.x and h2 each request; http is either of the two, by the first bytes",
        )
        .added()
        .updatable(),
        Key::default::<Eject>(
            "eject",
            "off",
            "how many failed HTTP requests in a row eject a server, and for how many milliseconds: those with a 5xx \
             status, and those without a complete answer; never more than half of the servers",
        )
        .continues(Continues::Joined("for"))
        .added()
        .updatable(),
        Key::optional::<Host>(
            "resolve",
            "host name whose addresses are the servers, followed by `port`",
        )
        .added(),
        Key::optional::<ServerPort>("port", "port of the servers at the addresses of `resolve`").added(),
    ],
    foreign: original::CHECK_KEYS,
};

/// `add server-group NAME timeout .. period .. up .. down .. [method ..] [resolve .. port ..]`
///
/// SOCKS5 clients reach a group named `host:port` by asking for that destination.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(deserialize_with = "json")]
    pub(super) timeout: Millis,
    #[serde(deserialize_with = "json")]
    pub(super) period: Millis,
    #[serde(deserialize_with = "json")]
    pub(super) up: Checks,
    #[serde(deserialize_with = "json")]
    pub(super) down: Checks,
    #[serde(default, deserialize_with = "json")]
    pub(super) method: Method,
    #[serde(default, deserialize_with = "json")]
    pub(super) check: CheckKind,
    #[serde(default, deserialize_with = "json")]
    pub(super) protocol: Protocol,
    #[serde(default, deserialize_with = "json")]
    pub(super) eject: Eject,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) resolve: Option<Host>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) port: Option<ServerPort>,
}

/// `update server-group NAME [timeout ..] [period ..] [up ..] [down ..] [method ..]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Update {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) timeout: Option<Millis>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) period: Option<Millis>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) up: Option<Checks>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) down: Option<Checks>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) method: Option<Method>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) check: Option<CheckKind>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) protocol: Option<Protocol>,
    #[serde(default, deserialize_with = "optional_json")]
    pub(super) eject: Option<Eject>,
}

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            timeout: args.required("timeout")?,
            period: args.required("period")?,
            up: args.required("up")?,
            down: args.required("down")?,
            method: args.optional("method")?.unwrap_or_default(),
            check: args.optional("check")?.unwrap_or_default(),
            protocol: args.optional("protocol")?.unwrap_or_default(),
            eject: args.optional("eject")?.unwrap_or_default(),
            resolve: args.optional("resolve")?,
            port: args.optional("port")?,
        })
    }

    /// The host name and the port that it is filled from, if it is.
    pub(super) fn source(&self) -> Option<(&Host, ServerPort)> {
        self.resolve.as_ref().zip(self.port)
    }

    fn check_config(&self) -> CheckConfig {
        CheckConfig {
            timeout: self.timeout.0,
            period: self.period.0,
            up: self.up.0,
            down: self.down.0,
        }
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::ServerGroup, &self.name)
    }

    fn write(&self, words: &mut Words) {
        words
            .key("timeout", &self.timeout)
            .key("period", &self.period)
            .key("up", &self.up)
            .key("down", &self.down)
            .key("method", &self.method)
            .unless_default("check", &self.check)
            .unless_default("protocol", &self.protocol)
            .unless_default("eject", &self.eject)
            .optional("resolve", self.resolve.as_ref())
            .optional("port", self.port.as_ref());
    }

    /// `resolve` and `port` are given together.
    fn check_keys(&self) -> Result<(), CommandError> {
        let missing = match (&self.resolve, self.port) {
            (Some(_), None) => ("port", ServerPort::EXPECTED),
            (None, Some(_)) => ("resolve", Host::EXPECTED),
            _ => return Ok(()),
        };
        let (key, expected) = missing;
        Err(CommandError::invalid(
            key,
            format!(
                "{key} is missing, because resolve and port are given together; expected `{key}` followed by {expected}"
            ),
        ))
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let group = Running::new(&self.name, self.check_config(), self.method);
        group.set_check_kind(self.check.clone());
        group.set_protocol(self.protocol);
        group.set_outlier_ejection(self.eject.0);
        let own = at.running.own.clone();
        let group = match self.source() {
            Some((host, port)) => {
                let lookup = at.running.lookups.follow(&host.0, at.addresses);
                Group::start_resolved(group, own, lookup, port.0)
            }
            None => Group::start(group, own),
        };
        at.running.groups.insert(self.name.clone(), group);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        at.running.groups.remove(&self.name);
        Ok(None)
    }
}

impl Update {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            timeout: args.optional("timeout")?,
            period: args.optional("period")?,
            up: args.optional("up")?,
            down: args.optional("down")?,
            method: args.optional("method")?,
            check: args.optional("check")?,
            protocol: args.optional("protocol")?,
            eject: args.optional("eject")?,
        })
    }
}

impl Change for Update {
    fn id(&self) -> Id {
        Id::new(Resource::ServerGroup, &self.name)
    }

    fn write(&self, words: &mut Words) {
        words
            .optional("timeout", self.timeout.as_ref())
            .optional("period", self.period.as_ref())
            .optional("up", self.up.as_ref())
            .optional("down", self.down.as_ref())
            .optional("method", self.method.as_ref())
            .optional("check", self.check.as_ref())
            .optional("protocol", self.protocol.as_ref())
            .optional("eject", self.eject.as_ref());
    }

    fn change(&self, add: &mut super::Add) {
        if let super::Add::ServerGroup(group) = add {
            group.timeout = self.timeout.unwrap_or(group.timeout);
            group.period = self.period.unwrap_or(group.period);
            group.up = self.up.unwrap_or(group.up);
            group.down = self.down.unwrap_or(group.down);
            group.method = self.method.unwrap_or(group.method);
            if let Some(check) = &self.check {
                group.check = check.clone();
            }
            group.protocol = self.protocol.unwrap_or(group.protocol);
            group.eject = self.eject.unwrap_or(group.eject);
        }
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let running = at.running.group(&self.name)?;
        if let Some(super::Add::ServerGroup(group)) = at.config.get(&self.id()) {
            running.set_check_config(group.check_config());
        }
        if let Some(method) = self.method {
            running.set_method(method);
        }
        if let Some(check) = &self.check {
            running.set_check_kind(check.clone());
        }
        if let Some(protocol) = self.protocol {
            running.set_protocol(protocol);
        }
        if let Some(Eject(ejection)) = self.eject {
            running.set_outlier_ejection(ejection);
        }
        Ok(())
    }
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let views = views(read).into_iter();
    Ok(Listing::of(
        views.map(|view| (view.name.clone(), line(&view))),
        detail,
    ))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| Ok(views(read).into_iter().map(ServerGroup::from).collect()),
        |read, _| Ok(views(read).into_iter().map(ServerGroupDetail::from).collect()),
    )
}
