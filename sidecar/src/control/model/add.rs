//! What `add` does to the configuration.

use super::{Group, MAX_REGISTRATIONS, Model, Named, SecurityGroup, Server, Socks5, found, insert, present};
use crate::control::command::{Add, ListenerSpec, SmartGroupSpec, SmartNodeSpec};
use crate::control::error::CommandError;
use crate::control::grammar::Resource;

impl Model {
    pub(super) fn add(&mut self, add: &Add) -> Result<(), CommandError> {
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
            Add::SecurityGroup { name, default } => {
                let group = SecurityGroup {
                    default: *default,
                    rules: Named::new(),
                };
                insert(&mut self.security_groups, Resource::SecurityGroup, name, group)
            }
            Add::SecurityGroupRule { name, group, rule } => {
                let group = found(&mut self.security_groups, Resource::SecurityGroup, group)?;
                insert(&mut group.rules, Resource::SecurityGroupRule, name, *rule)
            }
            Add::SmartGroupDelegate { name, spec } => {
                self.group_is_free(name, spec)?;
                insert(
                    &mut self.smart_groups,
                    Resource::SmartGroupDelegate,
                    name,
                    spec.clone(),
                )
            }
            Add::SmartNodeDelegate { name, spec } => {
                self.place_is_free(name, spec)?;
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
        if let Some(group) = &spec.security_group {
            present(&self.security_groups, Resource::SecurityGroup, group)?;
        }
        match self
            .listeners()
            .find(|(_, l)| l.address == spec.address && l.address.port() != 0)
        {
            Some((listener, _)) => Err(CommandError::invalid(
                spec.address.to_string(),
                format!("address {} is taken by {listener}", spec.address),
            )),
            None => Ok(()),
        }
    }

    fn group_is_free(&self, name: &str, spec: &SmartGroupSpec) -> Result<(), CommandError> {
        present(&self.groups, Resource::ServerGroup, &spec.group)?;
        match self
            .smart_groups
            .iter()
            .find(|(n, s)| *n != name && s.group == spec.group)
        {
            Some((other, _)) => Err(CommandError::invalid(
                &spec.group,
                format!(
                    "server-group {} is filled by smart-group-delegate {other} already",
                    spec.group
                ),
            )),
            None => Ok(()),
        }
    }

    fn place_is_free(&self, name: &str, spec: &SmartNodeSpec) -> Result<(), CommandError> {
        if self.smart_nodes.len() >= MAX_REGISTRATIONS {
            let message =
                format!("there are {MAX_REGISTRATIONS} smart-node-delegates already, which is the most");
            return Err(CommandError::refused(name, message));
        }
        match self
            .smart_nodes
            .iter()
            .find(|(n, s)| *n != name && same_place(s, spec))
        {
            Some((other, _)) => Err(CommandError::invalid(
                name,
                format!(
                    "smart-node-delegate {other} offers the same service, zone, address and port already"
                ),
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
