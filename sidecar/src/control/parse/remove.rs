//! `remove` and `force-remove`.

use super::rest::Rest;
use super::{named, session_pattern};
use crate::control::command::Remove;
use crate::control::error::CommandError;
use crate::control::grammar::{Action, Resource};

pub(super) fn remove(name: String, force: bool, rest: &mut Rest) -> Result<Remove, CommandError> {
    let resource = rest.resource;
    if resource == Resource::Session {
        if !force {
            return Err(rest.cannot(
                Action::Remove,
                "a session is in use as long as it lasts; use force-remove",
            ));
        }
        return Ok(Remove::Session {
            which: session_pattern(&name)?,
            listener: rest.listener_place("from")?,
        });
    }
    let name = named(resource, name)?;
    Ok(match resource {
        Resource::ServerGroups => Remove::ServerGroups(name),
        Resource::ServerGroup => match rest.take_place(Resource::ServerGroups) {
            Some(groups) => Remove::ServerGroupFrom { name, groups },
            None => Remove::ServerGroup(name),
        },
        Resource::Server => Remove::Server {
            name,
            group: rest.required_place(Resource::ServerGroup, "from")?,
        },
        Resource::TcpLb => Remove::TcpLb(name),
        Resource::Socks5Server => Remove::Socks5Server(name),
        Resource::SecurityGroup => Remove::SecurityGroup(name),
        Resource::SecurityGroupRule => Remove::SecurityGroupRule {
            name,
            group: rest.required_place(Resource::SecurityGroup, "from")?,
        },
        Resource::SmartGroupDelegate => Remove::SmartGroupDelegate(name),
        Resource::SmartNodeDelegate => Remove::SmartNodeDelegate(name),
        Resource::Session
        | Resource::BindServer
        | Resource::Connection
        | Resource::BytesIn
        | Resource::BytesOut
        | Resource::AcceptedConnCount => return Err(rest.cannot(Action::Remove, "it is there to be read")),
    })
}
