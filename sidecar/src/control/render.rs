//! From a typed [`Command`] back to words: what is written here is read back as the same command.

use std::fmt;

use super::command::{
    Add, CheckUpdate, Command, Counted, DEFAULT_WEIGHT, Figure, List, ListenerName, ListenerSpec,
    ListenerUpdate, Remove, Update,
};
use super::grammar::{Action, Flag, Key, Resource};
use super::values::ALLOW_ALL;
use crate::interface::IpType;

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(add) => write!(f, "{} {add}", Action::Add),
            Self::Update(update) => write!(f, "{} {update}", Action::Update),
            Self::Remove { what, force: false } => write!(f, "{} {what}", Action::Remove),
            Self::Remove { what, force: true } => write!(f, "{} {what}", Action::ForceRemove),
            Self::List { what, detail: false } => write!(f, "{} {what}", Action::List),
            Self::List { what, detail: true } => write!(f, "{} {what}", Action::ListDetail),
        }
    }
}

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

impl fmt::Display for Remove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerGroups(name) => write!(f, "{} {name}", Resource::ServerGroups),
            Self::ServerGroup(name) => write!(f, "{} {name}", Resource::ServerGroup),
            Self::ServerGroupFrom { name, groups } => {
                write!(
                    f,
                    "{} {name} from {} {groups}",
                    Resource::ServerGroup,
                    Resource::ServerGroups
                )
            }
            Self::Server { name, group } => {
                write!(
                    f,
                    "{} {name} from {} {group}",
                    Resource::Server,
                    Resource::ServerGroup
                )
            }
            Self::TcpLb(name) => write!(f, "{} {name}", Resource::TcpLb),
            Self::Socks5Server(name) => write!(f, "{} {name}", Resource::Socks5Server),
            Self::SecurityGroup(name) => write!(f, "{} {name}", Resource::SecurityGroup),
            Self::SecurityGroupRule { name, group } => {
                write!(
                    f,
                    "{} {name} from {} {group}",
                    Resource::SecurityGroupRule,
                    Resource::SecurityGroup
                )
            }
            Self::SmartGroupDelegate(name) => write!(f, "{} {name}", Resource::SmartGroupDelegate),
            Self::SmartNodeDelegate(name) => write!(f, "{} {name}", Resource::SmartNodeDelegate),
            Self::Session { which, listener } => write!(f, "{} {which} from {listener}", Resource::Session),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |f: &mut fmt::Formatter<'_>, resource: Resource| write!(f, "{resource}");
        match self {
            Self::ServerGroups => plain(f, Resource::ServerGroups),
            Self::ServerGroup { groups: None } => plain(f, Resource::ServerGroup),
            Self::ServerGroup { groups: Some(groups) } => {
                write!(
                    f,
                    "{} in {} {groups}",
                    Resource::ServerGroup,
                    Resource::ServerGroups
                )
            }
            Self::Server { group } => write!(f, "{} in {} {group}", Resource::Server, Resource::ServerGroup),
            Self::TcpLb => plain(f, Resource::TcpLb),
            Self::Socks5Server => plain(f, Resource::Socks5Server),
            Self::SecurityGroup => plain(f, Resource::SecurityGroup),
            Self::SecurityGroupRule { group } => {
                write!(
                    f,
                    "{} in {} {group}",
                    Resource::SecurityGroupRule,
                    Resource::SecurityGroup
                )
            }
            Self::SmartGroupDelegate => plain(f, Resource::SmartGroupDelegate),
            Self::SmartNodeDelegate => plain(f, Resource::SmartNodeDelegate),
            Self::BindServer(listener) => write!(f, "{} in {listener}", Resource::BindServer),
            Self::Connection(listener) => write!(f, "{} in {listener}", Resource::Connection),
            Self::Session(listener) => write!(f, "{} in {listener}", Resource::Session),
            Self::Figure { figure, of } => write!(f, "{figure} in {of}"),
        }
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TcpLb(name) => write!(f, "{} {name}", Resource::TcpLb),
            Self::Socks5Server(name) => write!(f, "{} {name}", Resource::Socks5Server),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BytesIn => Resource::BytesIn.word(),
            Self::BytesOut => Resource::BytesOut.word(),
            Self::AcceptedConnCount => Resource::AcceptedConnCount.word(),
        })
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(listener) => write!(f, "{listener}"),
            Self::BindServer { address, listener } => {
                write!(f, "{} {address} in {listener}", Resource::BindServer)
            }
            Self::Server { name, group } => {
                write!(
                    f,
                    "{} {name} in {} {group}",
                    Resource::Server,
                    Resource::ServerGroup
                )
            }
        }
    }
}

fn write_weight(f: &mut fmt::Formatter<'_>, weight: u32) -> fmt::Result {
    write_some(f, Key::Weight, (weight != DEFAULT_WEIGHT).then_some(weight))
}

fn write_some(f: &mut fmt::Formatter<'_>, key: Key, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {key} {value}"),
        None => Ok(()),
    }
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

fn write_listener_update(f: &mut fmt::Formatter<'_>, update: &ListenerUpdate) -> fmt::Result {
    write_some(f, Key::ServerGroups, update.backend.as_ref())?;
    let security_group = update
        .security_group
        .as_ref()
        .map(|g| g.as_deref().unwrap_or(ALLOW_ALL));
    write_some(f, Key::SecurityGroup, security_group)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Command;
    use crate::control::arbitrary;

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(command in arbitrary::command()) {
            let line = command.to_string();
            let read = line.parse::<Command>().map_err(|e| TestCaseError::fail(format!("{line}: {e}")))?;
            prop_assert_eq!(read, command, "{}", line);
        }
    }
}
