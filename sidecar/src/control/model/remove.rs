//! What `remove` and `force-remove` do to the configuration.

use super::{Model, found, take};
use crate::control::command::{ListenerName, Remove};
use crate::control::error::CommandError;
use crate::control::grammar::Resource;

impl Model {
    /// Removes a resource. Where it is in use it is refused, or `force` removes its users before it: those are
    /// returned.
    pub(super) fn remove(&mut self, what: &Remove, force: bool) -> Result<Vec<Remove>, CommandError> {
        // What is not there has none.
        let users = self.users(what);
        match users.first() {
            Some(user) if !force => Err(in_use(what, user)),
            _ => {
                for user in &users {
                    self.take(user)?;
                }
                self.take(what)?;
                Ok(users)
            }
        }
    }

    fn take(&mut self, what: &Remove) -> Result<(), CommandError> {
        match what {
            Remove::ServerGroups(name) => {
                take(&mut self.server_groups, Resource::ServerGroups, name)?;
            }
            Remove::ServerGroup(name) => {
                take(&mut self.groups, Resource::ServerGroup, name)?;
            }
            Remove::ServerGroupFrom { name, groups } => {
                let members = found(&mut self.server_groups, Resource::ServerGroups, groups)?;
                take(members, Resource::ServerGroup, name)?;
            }
            Remove::Server { name, group } => {
                let group = found(&mut self.groups, Resource::ServerGroup, group)?;
                take(&mut group.servers, Resource::Server, name)?;
            }
            Remove::TcpLb(name) => {
                take(&mut self.tcp_lbs, Resource::TcpLb, name)?;
            }
            Remove::Socks5Server(name) => {
                take(&mut self.socks5_servers, Resource::Socks5Server, name)?;
            }
            Remove::SecurityGroup(name) => {
                take(&mut self.security_groups, Resource::SecurityGroup, name)?;
            }
            Remove::SecurityGroupRule { name, group } => {
                let group = found(&mut self.security_groups, Resource::SecurityGroup, group)?;
                take(&mut group.rules, Resource::SecurityGroupRule, name)?;
            }
            Remove::SmartGroupDelegate(name) => {
                take(&mut self.smart_groups, Resource::SmartGroupDelegate, name)?;
            }
            Remove::SmartNodeDelegate(name) => {
                take(&mut self.smart_nodes, Resource::SmartNodeDelegate, name)?;
            }
            // Sessions are not configuration; their listener is.
            Remove::Session {
                listener: ListenerName::TcpLb(name),
                ..
            } => {
                found(&mut self.tcp_lbs, Resource::TcpLb, name)?;
            }
            Remove::Session {
                listener: ListenerName::Socks5Server(name),
                ..
            } => {
                found(&mut self.socks5_servers, Resource::Socks5Server, name)?;
            }
        }
        Ok(())
    }

    /// The removals that must come before this one.
    fn users(&self, what: &Remove) -> Vec<Remove> {
        match what {
            Remove::ServerGroups(name) => self
                .listeners()
                .filter(|(_, spec)| spec.backend == *name)
                .map(|(listener, _)| listener.into())
                .collect(),
            Remove::SecurityGroup(name) => self
                .listeners()
                .filter(|(_, spec)| spec.security_group.as_ref() == Some(name))
                .map(|(listener, _)| listener.into())
                .collect(),
            Remove::ServerGroup(name) => {
                let attached = self
                    .server_groups
                    .iter()
                    .filter(|(_, members)| members.contains_key(name));
                let detached = attached.map(|(groups, _)| Remove::ServerGroupFrom {
                    name: name.clone(),
                    groups: groups.clone(),
                });
                let filled = self.smart_groups.iter().filter(|(_, spec)| spec.group == *name);
                detached
                    .chain(filled.map(|(delegate, _)| Remove::SmartGroupDelegate(delegate.clone())))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

impl From<ListenerName> for Remove {
    fn from(listener: ListenerName) -> Self {
        match listener {
            ListenerName::TcpLb(name) => Self::TcpLb(name),
            ListenerName::Socks5Server(name) => Self::Socks5Server(name),
        }
    }
}

fn in_use(what: &Remove, user: &Remove) -> CommandError {
    let name = match what {
        Remove::ServerGroups(name) | Remove::ServerGroup(name) | Remove::SecurityGroup(name) => name.as_str(),
        _ => "",
    };
    let user = match user {
        // What a detachment is from is what uses the group.
        Remove::ServerGroupFrom { groups, .. } => format!("{} {groups}", Resource::ServerGroups),
        other => other.to_string(),
    };
    CommandError::InUse {
        name: name.to_owned(),
        what: what.to_string(),
        user,
    }
}
