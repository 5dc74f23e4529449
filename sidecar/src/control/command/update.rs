//! `update`: what can be changed.

use std::time::Duration;

use crate::balance::{CheckConfig, Method};
use crate::proxy::access::Verdict;

/// What can be changed; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// `update server-group NAME [timeout ..] [period ..] [up ..] [down ..] [method ..]`
    ServerGroup {
        /// Its name.
        name: String,
        /// How its servers are checked.
        check: CheckUpdate,
        /// How a server is chosen.
        method: Option<Method>,
    },
    /// `update server-group NAME in server-groups NAME weight ..`
    ServerGroupIn {
        /// The group's name.
        name: String,
        /// The server groups it is in.
        groups: String,
        /// Its share of the connections to them.
        weight: u32,
    },
    /// `update server NAME in server-group NAME weight ..`
    Server {
        /// Its name.
        name: String,
        /// The group it is in.
        group: String,
        /// Its share of the group's connections.
        weight: u32,
    },
    /// `update tcp-lb NAME [server-groups ..] [security-group ..]`
    TcpLb {
        /// Its name.
        name: String,
        /// What changes.
        listener: ListenerUpdate,
    },
    /// `update socks5-server NAME [server-groups ..] [security-group ..] [allow-non-backend|deny-non-backend]`
    Socks5Server {
        /// Its name.
        name: String,
        /// What changes.
        listener: ListenerUpdate,
        /// Whether it goes to destinations that are no backend's.
        allow_non_backend: Option<bool>,
    },
    /// `update security-group NAME default allow|deny`
    SecurityGroup {
        /// Its name.
        name: String,
        /// For clients that no rule matches.
        default: Verdict,
    },
}

/// What changes about a group's health checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckUpdate {
    /// How long a check may take.
    pub timeout: Option<Duration>,
    /// From one check to the next.
    pub period: Option<Duration>,
    /// Good checks in a row that bring a server up.
    pub up: Option<u32>,
    /// Failed checks in a row that bring a server down.
    pub down: Option<u32>,
}

impl CheckUpdate {
    /// The settings after the change.
    #[must_use]
    pub fn applied_to(self, check: CheckConfig) -> CheckConfig {
        CheckConfig {
            timeout: self.timeout.unwrap_or(check.timeout),
            period: self.period.unwrap_or(check.period),
            up: self.up.unwrap_or(check.up),
            down: self.down.unwrap_or(check.down),
        }
    }
}

/// What changes about a listener, for new connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerUpdate {
    /// The server groups that it takes connections to.
    pub backend: Option<String>,
    /// The security group that says which clients it serves; `Some(None)`, written `(allow-all)`, serves all.
    pub security_group: Option<Option<String>>,
}
