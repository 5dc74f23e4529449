//! `update`.

use std::fmt;

use super::write_some;
use crate::control::command::{CheckUpdate, ListenerUpdate, Update};
use crate::control::grammar::{Flag, Key, Resource};
use crate::control::values::ALLOW_ALL;

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerGroup { name, check, method } => {
                write!(f, "{} {name}", Resource::ServerGroup)?;
                let CheckUpdate {
                    timeout,
                    period,
                    up,
                    down,
                } = check;
                write_some(f, Key::Timeout, timeout.map(|t| t.as_millis()))?;
                write_some(f, Key::Period, period.map(|p| p.as_millis()))?;
                write_some(f, Key::Up, *up)?;
                write_some(f, Key::Down, *down)?;
                write_some(f, Key::Method, *method)
            }
            Self::ServerGroupIn { name, groups, weight } => {
                write!(
                    f,
                    "{} {name} in {} {groups}",
                    Resource::ServerGroup,
                    Resource::ServerGroups
                )?;
                write!(f, " {} {weight}", Key::Weight)
            }
            Self::Server { name, group, weight } => {
                write!(
                    f,
                    "{} {name} in {} {group}",
                    Resource::Server,
                    Resource::ServerGroup
                )?;
                write!(f, " {} {weight}", Key::Weight)
            }
            Self::TcpLb { name, listener } => {
                write!(f, "{} {name}", Resource::TcpLb)?;
                write_listener_update(f, listener)
            }
            Self::Socks5Server {
                name,
                listener,
                allow_non_backend,
            } => {
                write!(f, "{} {name}", Resource::Socks5Server)?;
                write_listener_update(f, listener)?;
                match allow_non_backend {
                    None => Ok(()),
                    Some(true) => write!(f, " {}", Flag::AllowNonBackend),
                    Some(false) => write!(f, " {}", Flag::DenyNonBackend),
                }
            }
            Self::SecurityGroup { name, default } => {
                write!(f, "{} {name} {} {default}", Resource::SecurityGroup, Key::Default)
            }
        }
    }
}

fn write_listener_update(f: &mut fmt::Formatter<'_>, update: &ListenerUpdate) -> fmt::Result {
    write_some(f, Key::ServerGroups, update.backend.as_ref())?;
    let security_group = update
        .security_group
        .as_ref()
        .map(|g| g.as_deref().unwrap_or(ALLOW_ALL));
    write_some(f, Key::SecurityGroup, security_group)
}
