//! What a command is answered with, in words: names, or a line about each.

use super::autosave::SaveError;
use super::command::{Counted, Figure, List, ListenerName};
use super::controller::Controller;
use super::error::CommandError;
use super::grammar::Resource;
use super::lines;
use super::view::MemberView;
use crate::balance::{ServerView, Totals};

/// What a command is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The change has taken effect.
    Done,
    /// It has taken effect, and is lost at the next start: it could not be saved.
    Unsaved(SaveError),
    /// Names, or a line about each.
    Lines(Vec<String>),
    /// How many.
    Count(u64),
}

/// Reads what is asked for.
pub(super) fn read(controller: &Controller, what: &List, detail: bool) -> Result<Reply, CommandError> {
    let show = |name: &str, about: String| {
        if detail {
            lines::line(name, &about)
        } else {
            name.to_owned()
        }
    };
    Ok(Reply::Lines(match what {
        List::ServerGroups => controller.server_groups().into_iter().map(|s| s.name).collect(),
        List::ServerGroup { groups: None } => controller
            .groups()
            .iter()
            .map(|g| show(&g.name, lines::group(g)))
            .collect(),
        List::ServerGroup { groups: Some(groups) } => {
            let set = controller.server_groups().into_iter().find(|s| s.name == *groups);
            let set = set.ok_or_else(|| CommandError::not_found(Resource::ServerGroups, groups))?;
            let about = |m: &MemberView| format!("{} weight {}", lines::group(&m.group), m.weight);
            set.members
                .iter()
                .map(|m| show(&m.group.name, about(m)))
                .collect()
        }
        List::Server { group } => servers(controller, group)?
            .iter()
            .map(|s| show(&s.name, lines::server(s)))
            .collect(),
        List::TcpLb | List::Socks5Server => {
            let balancers = *what == List::TcpLb;
            let listeners = controller.listeners().into_iter();
            let kind = listeners.filter(|l| matches!(l.name, ListenerName::TcpLb(_)) == balancers);
            kind.map(|l| show(l.name.name(), lines::listener(&l))).collect()
        }
        List::SecurityGroup => {
            let groups = controller.security_groups();
            groups
                .iter()
                .map(|g| show(&g.name, lines::security_group(g)))
                .collect()
        }
        List::SecurityGroupRule { group } => {
            let found = controller
                .security_groups()
                .into_iter()
                .find(|g| g.name == *group);
            let found = found.ok_or_else(|| CommandError::not_found(Resource::SecurityGroup, group))?;
            found
                .rules
                .iter()
                .map(|(name, rule)| show(name, lines::rule(rule)))
                .collect()
        }
        List::SmartGroupDelegate => controller
            .smart_groups()
            .iter()
            .map(|g| show(&g.name, lines::smart_group(g)))
            .collect(),
        List::SmartNodeDelegate => controller
            .registrations()
            .iter()
            .map(|r| show(&r.name, lines::registration(r)))
            .collect(),
        List::BindServer(listener) => vec![controller.door(listener)?.listener().local_addr().to_string()],
        List::Connection(listener) => {
            let sessions = controller.door(listener)?.listener().sessions();
            return Ok(counted(
                sessions.iter().flat_map(lines::connections).collect(),
                detail,
            ));
        }
        List::Session(listener) => {
            let sessions = controller.door(listener)?.listener().sessions();
            return Ok(counted(sessions.iter().map(lines::session).collect(), detail));
        }
        List::Figure { figure, of } => return Ok(Reply::Count(figure.of(totals(controller, of)?))),
    }))
}

/// What comes and goes is listed as its number, and in detail one by one.
fn counted(lines: Vec<String>, detail: bool) -> Reply {
    if detail {
        Reply::Lines(lines)
    } else {
        Reply::Count(lines.len() as u64)
    }
}

fn servers(controller: &Controller, group: &str) -> Result<Vec<ServerView>, CommandError> {
    match controller.groups().into_iter().find(|g| g.name == group) {
        Some(group) => Ok(group.servers),
        None => Err(CommandError::not_found(Resource::ServerGroup, group)),
    }
}

fn totals(controller: &Controller, of: &Counted) -> Result<Totals, CommandError> {
    match of {
        Counted::Listener(listener) => Ok(controller.door(listener)?.listener().totals()),
        Counted::BindServer { address, listener } => {
            let door = controller.door(listener)?;
            if door.listener().local_addr() != *address {
                return Err(CommandError::not_found(Resource::BindServer, address.to_string()));
            }
            Ok(door.listener().totals())
        }
        Counted::Server { name, group } => {
            let server = servers(controller, group)?.into_iter().find(|s| s.name == *name);
            let server = server.ok_or_else(|| CommandError::not_found(Resource::Server, name))?;
            Ok(server.totals)
        }
    }
}

impl Figure {
    fn of(self, totals: Totals) -> u64 {
        match self {
            Self::BytesIn => totals.to_instance,
            Self::BytesOut => totals.to_client,
            Self::AcceptedConnCount => totals.connections,
        }
    }
}
