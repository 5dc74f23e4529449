//! A SOCKS5 server in the answers over HTTP.

use serde::Serialize;

use super::Add;
use crate::control::error::CommandError;
use crate::control::resources::Read;
use crate::control::resources::listener::{self, ListenerView};
use crate::control::resources::original::{self, EventLoopGroup};
use crate::control::resources::security_group::SecurityGroupDetail;
use crate::control::resources::server_groups::ServerGroupsDetail;

/// A listener that speaks SOCKS5.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Socks5Server {
    /// Its name.
    name: String,
    /// The address that it listens on.
    address: String,
    /// The server-groups that it takes connections to.
    backend: String,
    /// For the original's clients; always the same.
    acceptor_loop_group: &'static str,
    /// For the original's clients; always the same.
    worker_loop_group: &'static str,
    /// For the original's clients; always the same.
    in_buffer_size: u32,
    /// For the original's clients; always the same.
    out_buffer_size: u32,
    /// The security-group that decides which clients it serves.
    security_group: String,
    /// Whether clients reach destinations other than the backends.
    allow_non_backend: bool,
    /// Whether these may be loopback or link-local on an address beyond loopback; left out if not, as the original does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_local: bool,
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
    /// How many connections one client address may have open; left out if there is no limit, as the original does.
    #[serde(skip_serializing_if = "listener::is_unlimited")]
    max_connections_per_client: u32,
}

/// A listener that speaks SOCKS5, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Socks5ServerDetail {
    /// Its name.
    name: String,
    /// The address that it listens on.
    address: String,
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
    /// The security-group that decides which clients it serves.
    security_group: SecurityGroupDetail,
    /// Whether clients reach destinations other than the backends.
    allow_non_backend: bool,
    /// Whether these may be loopback or link-local on an address beyond loopback; left out if not, as the original does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_local: bool,
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
    /// How many connections one client address may have open; left out if there is no limit, as the original does.
    #[serde(skip_serializing_if = "listener::is_unlimited")]
    max_connections_per_client: u32,
}

impl Socks5Server {
    pub(super) fn of(server: &Add, view: ListenerView) -> Self {
        Self {
            name: server.common.name.clone(),
            address: view.address.to_string(),
            backend: view.backend,
            acceptor_loop_group: original::ACCEPTOR,
            worker_loop_group: original::WORKER,
            in_buffer_size: original::BUFFER_SIZE,
            out_buffer_size: original::BUFFER_SIZE,
            security_group: server.common.security_group.to_string(),
            allow_non_backend: server.kind.0.non_backend,
            allow_local: server.kind.0.local,
            hold: listener::json_millis(view.hold),
            idle_timeout: listener::json_millis(view.idle_timeout),
            request_timeout: listener::json_millis(view.request_timeout),
            send_forwarded: view.send_forwarded,
            max_connections_per_client: view.client_limit,
        }
    }
}

impl Socks5ServerDetail {
    pub(super) fn of(read: &Read<'_>, server: &Add, view: &ListenerView) -> Result<Self, CommandError> {
        let (backend, security_group) = listener::details(read, view)?;
        Ok(Self {
            name: server.common.name.clone(),
            address: view.address.to_string(),
            backend,
            acceptor_loop_group: original::acceptor(),
            worker_loop_group: original::worker(),
            in_buffer_size: original::BUFFER_SIZE,
            out_buffer_size: original::BUFFER_SIZE,
            security_group,
            allow_non_backend: server.kind.0.non_backend,
            allow_local: server.kind.0.local,
            hold: listener::json_millis(view.hold),
            idle_timeout: listener::json_millis(view.idle_timeout),
            request_timeout: listener::json_millis(view.request_timeout),
            send_forwarded: view.send_forwarded,
            max_connections_per_client: view.client_limit,
        })
    }
}
