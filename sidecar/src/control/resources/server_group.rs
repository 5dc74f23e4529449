//! `server-group`: servers with one balancing method and one health check.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::args::{Args, Words};
use super::original::{self, EventLoopGroup};
use super::server::Server;
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Change, Configured, Id, Listing, Parent, Read, Resource};
use crate::balance::{
    CheckConfig, ConnectTimes, Connects, Method, ServerGroup as Running, ServerView, Totals,
};
use crate::control::error::CommandError;
use crate::control::running::{Group, ListenerHandle};
use crate::control::values::{Checks, Millis, json, optional_json};

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
    ],
    foreign: original::CHECK_KEYS,
};

/// `add server-group NAME timeout .. period .. up .. down .. [method ..]`
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
        })
    }

    fn check(&self) -> CheckConfig {
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
            .key("method", &self.method);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let group = Running::new(&self.name, self.check(), self.method);
        at.running.groups.insert(self.name.clone(), Group::start(group));
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
            .optional("method", self.method.as_ref());
    }

    fn change(&self, add: &mut super::Add) {
        if let super::Add::ServerGroup(group) = add {
            group.timeout = self.timeout.unwrap_or(group.timeout);
            group.period = self.period.unwrap_or(group.period);
            group.up = self.up.unwrap_or(group.up);
            group.down = self.down.unwrap_or(group.down);
            group.method = self.method.unwrap_or(group.method);
        }
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let running = at.running.group(&self.name)?;
        if let Some(super::Add::ServerGroup(group)) = at.config.get(&self.id()) {
            running.set_check_config(group.check());
        }
        if let Some(method) = self.method {
            running.set_method(method);
        }
        Ok(())
    }
}

/// A running server group.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// The configuration of its health checks.
    pub check: CheckConfig,
    /// Its balancing method.
    pub method: Method,
    /// Its servers: the configured ones, then the mesh's.
    pub servers: Vec<ServerView>,
    /// Connections and bytes of its servers, removed ones included.
    pub totals: Totals,
    /// Failed attempts to connect, by reason.
    pub connects: Connects,
    /// Durations of successful attempts to connect.
    pub connect_times: ConnectTimes,
}

pub(in crate::control) fn views(read: &Read<'_>) -> Vec<GroupView> {
    let names = read.config.all(Resource::ServerGroup).map(|add| add.id().name);
    names.filter_map(|name| view(read, &name).ok()).collect()
}

pub(super) fn view(read: &Read<'_>, name: &str) -> Result<GroupView, CommandError> {
    let group = read.running.group(name)?;
    Ok(GroupView {
        name: group.name().to_owned(),
        check: group.check_config(),
        method: group.method(),
        servers: group.servers(),
        totals: group.counters().totals(),
        connects: group.connects(),
        connect_times: group.connect_times(),
    })
}

/// The line that `list-detail` shows.
pub(super) fn line(group: &GroupView) -> String {
    let CheckConfig {
        timeout,
        period,
        up,
        down,
    } = group.check;
    let (timeout, period) = (timeout.as_millis(), period.as_millis());
    format!(
        "timeout {timeout} period {period} up {up} down {down} method {}",
        group.method
    )
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

/// A server group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServerGroup {
    /// Its name.
    name: String,
    /// Timeout of a health check, in milliseconds.
    timeout: u64,
    /// Interval between health checks, in milliseconds.
    period: u64,
    /// Consecutive passed checks that bring a server up.
    up: u32,
    /// Consecutive failed checks that bring a server down.
    down: u32,
    /// How a server is selected: wrr, wlc or source.
    method: String,
    /// For the original's clients; always the same.
    event_loop_group: &'static str,
}

/// A server group, in detail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServerGroupDetail {
    /// Its name.
    name: String,
    /// Timeout of a health check, in milliseconds.
    timeout: u64,
    /// Interval between health checks, in milliseconds.
    period: u64,
    /// Consecutive passed checks that bring a server up.
    up: u32,
    /// Consecutive failed checks that bring a server down.
    down: u32,
    /// How a server is selected: wrr, wlc or source.
    method: String,
    /// For the original's clients; always the same.
    event_loop_group: EventLoopGroup,
    /// Its servers: the configured ones, then the mesh's.
    server_list: Vec<Server>,
}

impl From<GroupView> for ServerGroup {
    fn from(view: GroupView) -> Self {
        Self {
            timeout: millis(view.check.timeout),
            period: millis(view.check.period),
            up: view.check.up,
            down: view.check.down,
            method: view.method.to_string(),
            event_loop_group: original::CONTROL,
            name: view.name,
        }
    }
}

impl From<GroupView> for ServerGroupDetail {
    fn from(view: GroupView) -> Self {
        Self {
            timeout: millis(view.check.timeout),
            period: millis(view.check.period),
            up: view.check.up,
            down: view.check.down,
            method: view.method.to_string(),
            event_loop_group: original::control(),
            server_list: view.servers.into_iter().map(Server::from).collect(),
            name: view.name,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
