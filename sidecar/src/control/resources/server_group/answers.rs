//! A server group in the answers over HTTP.

use std::time::Duration;

use serde::Serialize;

use super::GroupView;
use crate::balance::{CheckKind, Protocol};
use crate::control::resources::original::{self, EventLoopGroup};
use crate::control::resources::server::Server;
use crate::control::values::Eject;

/// A server group.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::control::resources) struct ServerGroup {
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
    /// How its servers are checked, unless tcp.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    /// What connections carry that name it, unless tcp: http/1.x, h2 or http.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    /// How many failures in a row eject a server, and for how many milliseconds, such as 5 for 30000, unless off.
    #[serde(skip_serializing_if = "Option::is_none")]
    eject: Option<String>,
    /// The host name whose addresses are its servers, if it is filled so.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolve: Option<String>,
    /// The port of those servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

/// A server group, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::control::resources) struct ServerGroupDetail {
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
    /// How its servers are checked, unless tcp.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    /// What connections carry that name it, unless tcp: http/1.x, h2 or http.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    /// How many failures in a row eject a server, and for how many milliseconds, such as 5 for 30000, unless off.
    #[serde(skip_serializing_if = "Option::is_none")]
    eject: Option<String>,
    /// The host name whose addresses are its servers, if it is filled so.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolve: Option<String>,
    /// The port of those servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Its servers: the configured ones, then those from the mesh or DNS.
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
            check: Some(view.check_kind)
                .filter(|kind| *kind != CheckKind::Tcp)
                .map(|kind| kind.to_string()),
            protocol: Some(view.protocol)
                .filter(|protocol| *protocol != Protocol::Tcp)
                .map(Protocol::as_str),
            eject: view.ejection.map(|ejection| Eject(Some(ejection)).to_string()),
            port: view.source.as_ref().map(|(_, port)| *port),
            resolve: view.source.map(|(host, _)| host),
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
            check: Some(view.check_kind)
                .filter(|kind| *kind != CheckKind::Tcp)
                .map(|kind| kind.to_string()),
            protocol: Some(view.protocol)
                .filter(|protocol| *protocol != Protocol::Tcp)
                .map(Protocol::as_str),
            eject: view.ejection.map(|ejection| Eject(Some(ejection)).to_string()),
            port: view.source.as_ref().map(|(_, port)| *port),
            resolve: view.source.map(|(host, _)| host),
            server_list: view.servers.into_iter().map(Server::from).collect(),
            name: view.name,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
