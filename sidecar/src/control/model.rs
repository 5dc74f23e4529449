//! The configuration as its commands made it. Pure: it decides whether a command may be applied, and
//! starts, binds and asks nothing. A file is checked against a model of its own before anything starts.

use std::net::SocketAddr;

use indexmap::IndexMap;

use super::command::{Add, Command, ListenerSpec, Remove, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec};
use super::error::CommandError;
use super::grammar::Resource;

/// Resources of one kind by name, in the order in which they were added.
type Named<T> = IndexMap<String, T>;

/// The configuration as its commands made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    /// By name, the groups attached to each with their weights.
    pub(super) server_groups: Named<Named<u32>>,
    pub(super) groups: Named<Group>,
    pub(super) tcp_lbs: Named<ListenerSpec>,
    pub(super) socks5_servers: Named<Socks5>,
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

impl Model {
    /// Applies one command.
    ///
    /// # Errors
    /// When the command does not fit what is there; the model is then as it was.
    pub(super) fn apply(&mut self, command: &Command) -> Result<(), CommandError> {
        match command {
            Command::Add(add) => self.add(add),
            Command::Remove(Remove::SmartNodeDelegate { name }) => {
                match self.smart_nodes.shift_remove(name) {
                    Some(_) => Ok(()),
                    None => Err(not_found(Resource::SmartNodeDelegate, name)),
                }
            }
        }
    }

    fn add(&mut self, add: &Add) -> Result<(), CommandError> {
        match add {
            Add::ServerGroups { name } => insert(
                &mut self.server_groups,
                Resource::ServerGroups,
                name,
                Named::new(),
            ),
            Add::ServerGroup { name, spec } => {
                let group = Group {
                    spec: *spec,
                    servers: Named::new(),
                };
                insert(&mut self.groups, Resource::ServerGroup, name, group)
            }
            Add::ServerGroupTo { name, groups, weight } => {
                present(&self.groups, Resource::ServerGroup, name)?;
                let members = found(&mut self.server_groups, Resource::ServerGroups, groups)?;
                insert(members, Resource::ServerGroup, name, *weight)
            }
            Add::Server {
                name,
                group,
                address,
                weight,
            } => {
                let group = found(&mut self.groups, Resource::ServerGroup, group)?;
                let server = Server {
                    address: *address,
                    weight: *weight,
                };
                insert(&mut group.servers, Resource::Server, name, server)
            }
            Add::TcpLb { name, spec } => {
                self.listener_fits(spec)?;
                insert(&mut self.tcp_lbs, Resource::TcpLb, name, spec.clone())
            }
            Add::Socks5Server {
                name,
                spec,
                allow_non_backend,
            } => {
                self.listener_fits(spec)?;
                let server = Socks5 {
                    listener: spec.clone(),
                    allow_non_backend: *allow_non_backend,
                };
                insert(&mut self.socks5_servers, Resource::Socks5Server, name, server)
            }
            Add::SmartGroupDelegate { name, spec } => {
                present(&self.groups, Resource::ServerGroup, &spec.group)?;
                if let Some((other, _)) = self
                    .smart_groups
                    .iter()
                    .find(|(n, s)| *n != name && s.group == spec.group)
                {
                    return Err(CommandError::invalid(
                        &spec.group,
                        format!(
                            "server-group {} is filled by smart-group-delegate {other} already",
                            spec.group
                        ),
                    ));
                }
                insert(
                    &mut self.smart_groups,
                    Resource::SmartGroupDelegate,
                    name,
                    spec.clone(),
                )
            }
            Add::SmartNodeDelegate { name, spec } => {
                if let Some((other, _)) = self
                    .smart_nodes
                    .iter()
                    .find(|(n, s)| *n != name && same_place(s, spec))
                {
                    return Err(CommandError::invalid(
                        name,
                        format!(
                            "smart-node-delegate {other} offers the same service, zone, address and port already"
                        ),
                    ));
                }
                insert(
                    &mut self.smart_nodes,
                    Resource::SmartNodeDelegate,
                    name,
                    spec.clone(),
                )
            }
        }
    }

    fn listener_fits(&self, spec: &ListenerSpec) -> Result<(), CommandError> {
        present(&self.server_groups, Resource::ServerGroups, &spec.backend)?;
        let tcp_lbs = self.tcp_lbs.iter().map(|(name, l)| (Resource::TcpLb, name, l));
        let socks5 = self
            .socks5_servers
            .iter()
            .map(|(name, s)| (Resource::Socks5Server, name, &s.listener));
        match tcp_lbs
            .chain(socks5)
            .find(|(.., l)| l.address == spec.address && l.address.port() != 0)
        {
            Some((resource, name, _)) => Err(CommandError::invalid(
                spec.address.to_string(),
                format!("address {} is taken by {resource} {name}", spec.address),
            )),
            None => Ok(()),
        }
    }
}

fn same_place(a: &SmartNodeSpec, b: &SmartNodeSpec) -> bool {
    a.port.is_some()
        && (&a.service, &a.zone, &a.nic, a.ip_type, a.port)
            == (&b.service, &b.zone, &b.nic, b.ip_type, b.port)
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

fn present<T>(named: &Named<T>, resource: Resource, name: &str) -> Result<(), CommandError> {
    if named.contains_key(name) {
        Ok(())
    } else {
        Err(not_found(resource, name))
    }
}

fn found<'a, T>(named: &'a mut Named<T>, resource: Resource, name: &str) -> Result<&'a mut T, CommandError> {
    named.get_mut(name).ok_or_else(|| not_found(resource, name))
}

fn not_found(resource: Resource, name: &str) -> CommandError {
    CommandError::NotFound {
        resource,
        name: name.to_owned(),
    }
}
