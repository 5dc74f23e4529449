//! `remove` and `force-remove`.

use std::fmt;

use crate::control::command::Remove;
use crate::control::grammar::Resource;

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
