//! An HTTP proxy in the answers over HTTP.

use serde::Serialize;

use super::Add;
use crate::control::error::CommandError;
use crate::control::resources::Read;
use crate::control::resources::listener::{self, ListenerView};
use crate::control::resources::security_group::SecurityGroupDetail;
use crate::control::resources::server_groups::ServerGroupsDetail;

/// A proxy for HTTP clients.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HttpProxy {
    /// Its name.
    name: String,
    /// The address that it listens on.
    address: String,
    /// The server-groups that it takes connections to.
    backend: String,
    /// The security-group that decides which clients it serves.
    security_group: String,
    /// Time for which a new connection waits while no server takes it, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<u64>,
    /// Time without a byte after which a connection is reset, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<u64>,
    /// Time in which an HTTP request must be answered, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_timeout: Option<u64>,
    /// Whether HTTP requests tell servers their clients' addresses; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    send_forwarded: bool,
    /// How many connections one client address may have open; left out if there is no limit.
    #[serde(skip_serializing_if = "listener::is_unlimited")]
    max_connections_per_client: u32,
}

/// A proxy for HTTP clients, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HttpProxyDetail {
    /// Its name.
    name: String,
    /// The address that it listens on.
    address: String,
    /// The server-groups that it takes connections to.
    backend: ServerGroupsDetail,
    /// The security-group that decides which clients it serves.
    security_group: SecurityGroupDetail,
    /// Time for which a new connection waits while no server takes it, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<u64>,
    /// Time without a byte after which a connection is reset, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<u64>,
    /// Time in which an HTTP request must be answered, in milliseconds, unless 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_timeout: Option<u64>,
    /// Whether HTTP requests tell servers their clients' addresses; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    send_forwarded: bool,
    /// How many connections one client address may have open; left out if there is no limit.
    #[serde(skip_serializing_if = "listener::is_unlimited")]
    max_connections_per_client: u32,
}

impl HttpProxy {
    pub(super) fn of(proxy: &Add, view: ListenerView) -> Self {
        Self {
            name: proxy.common.name.clone(),
            address: view.address.to_string(),
            backend: view.backend,
            security_group: proxy.common.security_group.to_string(),
            hold: listener::json_millis(view.hold),
            idle_timeout: listener::json_millis(view.idle_timeout),
            request_timeout: listener::json_millis(view.request_timeout),
            send_forwarded: view.send_forwarded,
            max_connections_per_client: view.client_limit,
        }
    }
}

impl HttpProxyDetail {
    pub(super) fn of(read: &Read<'_>, proxy: &Add, view: &ListenerView) -> Result<Self, CommandError> {
        let (backend, security_group) = listener::details(read, view)?;
        Ok(Self {
            name: proxy.common.name.clone(),
            address: view.address.to_string(),
            backend,
            security_group,
            hold: listener::json_millis(view.hold),
            idle_timeout: listener::json_millis(view.idle_timeout),
            request_timeout: listener::json_millis(view.request_timeout),
            send_forwarded: view.send_forwarded,
            max_connections_per_client: view.client_limit,
        })
    }
}
