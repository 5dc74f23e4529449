//! `list` and `list-detail`.

use std::fmt;

use crate::control::command::{Counted, Figure, List, ListenerName};
use crate::control::grammar::Resource;

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
