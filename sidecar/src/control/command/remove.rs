//! `remove` and `force-remove`: what can be removed.

use super::list::ListenerName;
use crate::control::sessions::SessionPattern;

/// What can be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remove {
    /// `remove server-groups NAME`
    ServerGroups(String),
    /// `remove server-group NAME`
    ServerGroup(String),
    /// `remove server-group NAME from server-groups NAME`
    ServerGroupFrom {
        /// The group's name.
        name: String,
        /// The server groups it leaves.
        groups: String,
    },
    /// `remove server NAME from server-group NAME`
    Server {
        /// Its name.
        name: String,
        /// The group it leaves.
        group: String,
    },
    /// `remove tcp-lb NAME`
    TcpLb(String),
    /// `remove socks5-server NAME`
    Socks5Server(String),
    /// `remove security-group NAME`
    SecurityGroup(String),
    /// `remove security-group-rule NAME from security-group NAME`
    SecurityGroupRule {
        /// Its name.
        name: String,
        /// The group it leaves.
        group: String,
    },
    /// `remove smart-group-delegate NAME`
    SmartGroupDelegate(String),
    /// `remove smart-node-delegate NAME`
    SmartNodeDelegate(String),
    /// `force-remove session ADDRESS|/REGEX/ from tcp-lb|socks5-server NAME`
    Session {
        /// Which sessions.
        which: SessionPattern,
        /// The listener that accepted them.
        listener: ListenerName,
    },
}
