//! A running server group, for lists, metrics and answers over HTTP.

use crate::balance::{
    CheckConfig, CheckKind, Connects, Latencies, Method, OutlierEjection, Protocol, Requests, ServerView,
    Totals,
};
use crate::control::error::CommandError;
use crate::control::resources::args::Words;
use crate::control::resources::{Add, Id, Read, Resource};
use crate::control::values::Eject;

/// A running server group.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// The configuration of its health checks.
    pub check: CheckConfig,
    /// How its servers are checked.
    pub check_kind: CheckKind,
    /// What connections carry that name it.
    pub protocol: Protocol,
    /// When its servers are ejected for their answers.
    pub ejection: Option<OutlierEjection>,
    /// Its balancing method.
    pub method: Method,
    /// The host name and the port that it is filled from, if it is.
    pub source: Option<(String, u16)>,
    /// Its servers: the configured ones, then those from the mesh or DNS.
    pub servers: Vec<ServerView>,
    /// Connections and bytes of its servers, removed ones included.
    pub totals: Totals,
    /// Failed attempts to connect, by reason.
    pub connects: Connects,
    /// Durations of successful attempts to connect.
    pub connect_times: Latencies,
    /// HTTP requests to its servers, removed ones included.
    pub requests: Requests,
    /// How often its servers were ejected for their answers.
    pub ejections: u64,
}

pub(in crate::control) fn views(read: &Read<'_>) -> Vec<GroupView> {
    let names = read.config.all(Resource::ServerGroup).map(|add| add.id().name);
    names.filter_map(|name| view(read, &name).ok()).collect()
}

pub(in crate::control::resources) fn view(read: &Read<'_>, name: &str) -> Result<GroupView, CommandError> {
    let group = read.running.group(name)?;
    let source = match read.config.get(&Id::new(Resource::ServerGroup, name)) {
        Some(Add::ServerGroup(add)) => add.source().map(|(host, port)| (host.0.clone(), port.0)),
        _ => None,
    };
    Ok(GroupView {
        name: group.name().to_owned(),
        source,
        check: group.check_config(),
        check_kind: group.check_kind(),
        protocol: group.protocol(),
        ejection: group.outlier_ejection(),
        method: group.method(),
        servers: group.servers(),
        totals: group.counters().totals(),
        connects: group.connects(),
        connect_times: group.connect_times(),
        requests: group.requests().read(),
        ejections: group.ejections(),
    })
}

/// The line that `list-detail` shows.
pub(in crate::control::resources) fn line(group: &GroupView) -> String {
    let CheckConfig {
        timeout,
        period,
        up,
        down,
    } = group.check;
    let (timeout, period) = (timeout.as_millis(), period.as_millis());
    let source = group.source.as_ref();
    let source = source.map(|(host, port)| format!(" resolve {host} port {port}"));
    let check = match &group.check_kind {
        CheckKind::Tcp => String::new(),
        other => format!(" check {other}"),
    };
    let mut http = Words::default();
    http.unless_default("protocol", &group.protocol)
        .unless_default("eject", &Eject(group.ejection));
    format!(
        "timeout {timeout} period {period} up {up} down {down} method {}{check}{http}{}",
        group.method,
        source.unwrap_or_default()
    )
}
