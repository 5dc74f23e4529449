//! `add`.

use std::fmt;

use super::write_some;
use crate::control::command::{Add, DEFAULT_WEIGHT, ListenerSpec};
use crate::control::grammar::{Flag, Key, Resource};
use crate::interface::IpType;

impl fmt::Display for Add {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerGroups { name } => write!(f, "{} {name}", Resource::ServerGroups),
            Self::ServerGroup { name, spec } => {
                let (timeout, period) = (spec.check.timeout.as_millis(), spec.check.period.as_millis());
                write!(f, "{} {name} {} {timeout}", Resource::ServerGroup, Key::Timeout)?;
                write!(f, " {} {period} {} {}", Key::Period, Key::Up, spec.check.up)?;
                write!(
                    f,
                    " {} {} {} {}",
                    Key::Down,
                    spec.check.down,
                    Key::Method,
                    spec.method
                )
            }
            Self::ServerGroupTo { name, groups, weight } => {
                write!(
                    f,
                    "{} {name} to {} {groups}",
                    Resource::ServerGroup,
                    Resource::ServerGroups
                )?;
                write_weight(f, *weight)
            }
            Self::Server {
                name,
                group,
                address,
                weight,
            } => {
                write!(
                    f,
                    "{} {name} to {} {group}",
                    Resource::Server,
                    Resource::ServerGroup
                )?;
                write!(f, " {} {address}", Key::Address)?;
                write_weight(f, *weight)
            }
            Self::TcpLb { name, spec } => {
                write!(f, "{} {name}", Resource::TcpLb)?;
                write_listener(f, spec)
            }
            Self::Socks5Server {
                name,
                spec,
                allow_non_backend,
            } => {
                write!(f, "{} {name}", Resource::Socks5Server)?;
                write_listener(f, spec)?;
                if *allow_non_backend {
                    write!(f, " {}", Flag::AllowNonBackend)
                } else {
                    Ok(())
                }
            }
            Self::SecurityGroup { name, default } => {
                write!(f, "{} {name} {} {default}", Resource::SecurityGroup, Key::Default)
            }
            Self::SecurityGroupRule { name, group, rule } => {
                write!(
                    f,
                    "{} {name} to {} {group}",
                    Resource::SecurityGroupRule,
                    Resource::SecurityGroup
                )?;
                write!(
                    f,
                    " {} {} {} {}",
                    Key::Network,
                    rule.network,
                    Key::Protocol,
                    rule.protocol
                )?;
                let (first, last) = rule.ports;
                write!(
                    f,
                    " {} {first},{last} {} {}",
                    Key::PortRange,
                    Key::Default,
                    rule.verdict
                )
            }
            Self::SmartGroupDelegate { name, spec } => {
                write!(
                    f,
                    "{} {name} {} {}",
                    Resource::SmartGroupDelegate,
                    Key::Service,
                    spec.service
                )?;
                write!(
                    f,
                    " {} {} {} {}",
                    Key::Zone,
                    spec.zone,
                    Key::ServerGroup,
                    spec.group
                )
            }
            Self::SmartNodeDelegate { name, spec } => {
                write!(
                    f,
                    "{} {name} {} {}",
                    Resource::SmartNodeDelegate,
                    Key::Service,
                    spec.service
                )?;
                write!(f, " {} {} {} {}", Key::Zone, spec.zone, Key::Nic, spec.nic)?;
                if spec.ip_type != IpType::default() {
                    write!(f, " {} {}", Key::IpType, spec.ip_type)?;
                }
                if let Some(port) = spec.port {
                    write!(f, " {} {port}", Key::Port)?;
                }
                write_weight(f, spec.weight)
            }
        }
    }
}

fn write_weight(f: &mut fmt::Formatter<'_>, weight: u32) -> fmt::Result {
    write_some(f, Key::Weight, (weight != DEFAULT_WEIGHT).then_some(weight))
}

fn write_listener(f: &mut fmt::Formatter<'_>, spec: &ListenerSpec) -> fmt::Result {
    write!(
        f,
        " {} {} {} {}",
        Key::Address,
        spec.address,
        Key::ServerGroups,
        spec.backend
    )?;
    write_some(f, Key::SecurityGroup, spec.security_group.as_ref())
}
