//! The configuration as its commands made it. Pure: it decides whether a command may be applied, and
//! starts, binds and asks nothing. A file is checked against a model of its own before anything starts.

mod add;
mod dump;
mod remove;
#[cfg(test)]
mod tests;
mod update;

use std::net::SocketAddr;

use indexmap::IndexMap;

use super::command::{
    Command, ListenerName, ListenerSpec, Remove, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec,
};
use super::error::CommandError;
use super::grammar::Resource;
use crate::proxy::access::{Policy, Rule, Verdict};

/// The most things that a configuration may hold: resources, attachments, servers and rules together.
const MAX_THINGS: usize = 4096;

/// The most local instances: other nodes do not take more from one.
const MAX_REGISTRATIONS: usize = 1024;

/// Resources of one kind by name, in the order in which they were added.
pub(super) type Named<T> = IndexMap<String, T>;

/// The configuration as its commands made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    /// By name, the groups attached to each with their weights.
    pub(super) server_groups: Named<Named<u32>>,
    pub(super) groups: Named<Group>,
    pub(super) tcp_lbs: Named<ListenerSpec>,
    pub(super) socks5_servers: Named<Socks5>,
    pub(super) security_groups: Named<SecurityGroup>,
    pub(super) smart_groups: Named<SmartGroupSpec>,
    pub(super) smart_nodes: Named<SmartNodeSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) spec: ServerGroupSpec,
    /// The servers that commands added; what the mesh taught is not configuration.
    pub(super) servers: Named<Server>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socks5 {
    pub(super) listener: ListenerSpec,
    pub(super) allow_non_backend: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecurityGroup {
    pub(super) default: Verdict,
    pub(super) rules: Named<Rule>,
}

impl SecurityGroup {
    pub(super) fn policy(&self) -> Policy {
        Policy {
            default: self.default,
            rules: self.rules.values().copied().collect(),
        }
    }
}

impl Model {
    /// Applies one command; a reading one changes nothing. Returns what was removed along with what the
    /// command named, because it was used by it: the users first.
    ///
    /// # Errors
    /// When the command does not fit what is there; the model is then as it was.
    pub(super) fn apply(&mut self, command: &Command) -> Result<Vec<Remove>, CommandError> {
        match command {
            Command::Add(add) => {
                self.has_room()?;
                self.add(add).map(|()| Vec::new())
            }
            Command::Update(update) => self.update(update).map(|()| Vec::new()),
            Command::Remove { what, force } => self.remove(what, *force),
            Command::List { .. } => Ok(Vec::new()),
        }
    }

    fn has_room(&self) -> Result<(), CommandError> {
        let attachments: usize = self.server_groups.values().map(Named::len).sum();
        let servers: usize = self.groups.values().map(|g| g.servers.len()).sum();
        let rules: usize = self.security_groups.values().map(|g| g.rules.len()).sum();
        let kinds = [
            self.server_groups.len(),
            self.groups.len(),
            self.tcp_lbs.len(),
            self.socks5_servers.len(),
            self.security_groups.len(),
            self.smart_groups.len(),
            self.smart_nodes.len(),
        ];
        if kinds.iter().sum::<usize>() + attachments + servers + rules < MAX_THINGS {
            return Ok(());
        }
        Err(CommandError::refused(
            "add",
            format!(
                "the configuration holds {MAX_THINGS} things already, which is the most; remove some first"
            ),
        ))
    }

    /// Every listener.
    pub(super) fn listeners(&self) -> impl Iterator<Item = (ListenerName, &ListenerSpec)> {
        let tcp_lbs = self
            .tcp_lbs
            .iter()
            .map(|(name, l)| (ListenerName::TcpLb(name.clone()), l));
        let socks5 = self
            .socks5_servers
            .iter()
            .map(|(name, s)| (ListenerName::Socks5Server(name.clone()), &s.listener));
        tcp_lbs.chain(socks5)
    }
}

fn insert<T>(named: &mut Named<T>, resource: Resource, name: &str, value: T) -> Result<(), CommandError> {
    if named.contains_key(name) {
        return Err(CommandError::Exists {
            resource,
            name: name.to_owned(),
        });
    }
    named.insert(name.to_owned(), value);
    Ok(())
}

fn take<T>(named: &mut Named<T>, resource: Resource, name: &str) -> Result<T, CommandError> {
    named
        .shift_remove(name)
        .ok_or_else(|| CommandError::not_found(resource, name))
}

fn present<T>(named: &Named<T>, resource: Resource, name: &str) -> Result<(), CommandError> {
    if named.contains_key(name) {
        Ok(())
    } else {
        Err(CommandError::not_found(resource, name))
    }
}

fn found<'a, T>(named: &'a mut Named<T>, resource: Resource, name: &str) -> Result<&'a mut T, CommandError> {
    named
        .get_mut(name)
        .ok_or_else(|| CommandError::not_found(resource, name))
}
