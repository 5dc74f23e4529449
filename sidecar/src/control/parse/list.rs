//! `list` and `list-detail`.

use super::rest::Rest;
use crate::control::command::{Counted, Figure, List};
use crate::control::error::CommandError;
use crate::control::grammar::{Key, Resource};
use crate::control::values;

pub(super) fn list(rest: &mut Rest) -> Result<List, CommandError> {
    Ok(match rest.resource {
        Resource::ServerGroups => List::ServerGroups,
        Resource::ServerGroup => List::ServerGroup {
            groups: rest.take_place(Resource::ServerGroups),
        },
        Resource::Server => List::Server {
            group: rest.required_place(Resource::ServerGroup, "in")?,
        },
        Resource::TcpLb => List::TcpLb,
        Resource::Socks5Server => List::Socks5Server,
        Resource::SecurityGroup => List::SecurityGroup,
        Resource::SecurityGroupRule => List::SecurityGroupRule {
            group: rest.required_place(Resource::SecurityGroup, "in")?,
        },
        Resource::SmartGroupDelegate => List::SmartGroupDelegate,
        Resource::SmartNodeDelegate => List::SmartNodeDelegate,
        Resource::BindServer => List::BindServer(rest.listener_place("in")?),
        Resource::Connection => List::Connection(rest.listener_place("in")?),
        Resource::Session => List::Session(rest.listener_place("in")?),
        Resource::BytesIn => figure(Figure::BytesIn, rest)?,
        Resource::BytesOut => figure(Figure::BytesOut, rest)?,
        Resource::AcceptedConnCount => figure(Figure::AcceptedConnCount, rest)?,
    })
}

fn figure(figure: Figure, rest: &mut Rest) -> Result<List, CommandError> {
    let of = if let Some(name) = rest.take_place(Resource::Server) {
        Counted::Server {
            name,
            group: rest.required_place(Resource::ServerGroup, "in")?,
        }
    } else if let Some(text) = rest.take_place(Resource::BindServer) {
        let address = (values::ADDRESS.parse)(&text).ok_or_else(|| {
            let key = Key::Address;
            let expected = values::ADDRESS.expected;
            CommandError::invalid(
                &text,
                format!("bind-server {text} is not an {key}; expected {expected}"),
            )
        })?;
        Counted::BindServer {
            address,
            listener: rest.listener_place("in")?,
        }
    } else {
        Counted::Listener(rest.listener_place("in")?)
    };
    Ok(List::Figure { figure, of })
}
