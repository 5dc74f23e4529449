//! A running listener in the answers to commands and over HTTP: what every kind has.

use std::net::SocketAddr;
use std::time::Duration;

use super::FORWARDED;
use crate::balance::{Protocol, Requests, Totals};
use crate::control::error::CommandError;
use crate::control::resources::Read;
use crate::control::resources::security_group::{self, SecurityGroupDetail};
use crate::control::resources::server_groups::{self, ServerGroupsDetail};
use crate::control::running::ListenerName;
use crate::control::values::SecurityGroupRef;
use crate::proxy::Refusals;

/// A running listener: what every kind has.
#[derive(Debug, Clone)]
pub struct ListenerView {
    /// Its kind and name.
    pub name: ListenerName,
    /// The address that it listens on.
    pub address: SocketAddr,
    /// What its connections carry, if that does not depend on the group that they name.
    pub protocol: Option<Protocol>,
    /// The server groups that it takes connections to.
    pub backend: String,
    /// The security group that decides which clients it serves; without one it serves all.
    pub security_group: Option<String>,
    /// Time for which a connection waits while no server takes it.
    pub hold: Duration,
    /// Idle timeout of its connections; zero is none.
    pub idle_timeout: Duration,
    /// Time in which an HTTP request must be answered; zero is no limit.
    pub request_timeout: Duration,
    /// Whether HTTP requests tell servers their clients' addresses.
    pub send_forwarded: bool,
    /// How many connections one client address may have open; 0 is no limit.
    pub client_limit: u32,
    /// Connections and bytes so far.
    pub totals: Totals,
    /// HTTP requests of its connections.
    pub requests: Requests,
    /// Connections that were refused, by reason.
    pub refusals: Refusals,
    /// How often its limit of connections was reached.
    pub times_full: u64,
}

/// The line that `list-detail` shows: what every kind has.
pub(in crate::control::resources) fn line(view: &ListenerView) -> String {
    let group = SecurityGroupRef(view.security_group.clone());
    let mut line = format!(
        "bind {} backends {} security-group {group}",
        view.address, view.backend
    );
    for (key, time) in [
        ("hold", view.hold),
        ("idle-timeout", view.idle_timeout),
        ("request-timeout", view.request_timeout),
    ] {
        if !time.is_zero() {
            line.push_str(&format!(" {key} {}", time.as_millis()));
        }
    }
    if view.send_forwarded {
        line.push_str(&format!(" {}", FORWARDED[0]));
    }
    if view.client_limit > 0 {
        line.push_str(&format!(" max-connections-per-client {}", view.client_limit));
    }
    line
}

/// A time for HTTP, in milliseconds; none if it is zero.
pub(in crate::control::resources) fn json_millis(time: Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok().filter(|millis| *millis > 0)
}

/// The server groups and the security group of a listener, for HTTP.
pub(in crate::control::resources) fn details(
    read: &Read<'_>,
    view: &ListenerView,
) -> Result<(ServerGroupsDetail, SecurityGroupDetail), CommandError> {
    Ok((
        server_groups::detail(read, &view.backend)?,
        security_group::detail_of(read, view.security_group.as_deref()),
    ))
}

/// For HTTP, which leaves out a limit that is not set.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(in crate::control::resources) fn is_unlimited(limit: &u32) -> bool {
    *limit == 0
}
