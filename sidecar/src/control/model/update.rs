//! What `update` does to the configuration.

use super::{Model, found, present};
use crate::control::command::{ListenerSpec, ListenerUpdate, Update};
use crate::control::error::CommandError;
use crate::control::grammar::Resource;

impl Model {
    pub(super) fn update(&mut self, update: &Update) -> Result<(), CommandError> {
        match update {
            Update::ServerGroup { name, check, method } => {
                let spec = &mut found(&mut self.groups, Resource::ServerGroup, name)?.spec;
                spec.check = check.applied_to(spec.check);
                spec.method = method.unwrap_or(spec.method);
            }
            Update::ServerGroupIn { name, groups, weight } => {
                let members = found(&mut self.server_groups, Resource::ServerGroups, groups)?;
                *found(members, Resource::ServerGroup, name)? = *weight;
            }
            Update::Server { name, group, weight } => {
                let group = found(&mut self.groups, Resource::ServerGroup, group)?;
                found(&mut group.servers, Resource::Server, name)?.weight = *weight;
            }
            Update::TcpLb { name, listener } => {
                self.listener_update_fits(listener)?;
                change(found(&mut self.tcp_lbs, Resource::TcpLb, name)?, listener);
            }
            Update::Socks5Server {
                name,
                listener,
                allow_non_backend,
            } => {
                self.listener_update_fits(listener)?;
                let server = found(&mut self.socks5_servers, Resource::Socks5Server, name)?;
                change(&mut server.listener, listener);
                server.allow_non_backend = allow_non_backend.unwrap_or(server.allow_non_backend);
            }
            Update::SecurityGroup { name, default } => {
                found(&mut self.security_groups, Resource::SecurityGroup, name)?.default = *default;
            }
        }
        Ok(())
    }

    fn listener_update_fits(&self, update: &ListenerUpdate) -> Result<(), CommandError> {
        if let Some(backend) = &update.backend {
            present(&self.server_groups, Resource::ServerGroups, backend)?;
        }
        if let Some(Some(group)) = &update.security_group {
            present(&self.security_groups, Resource::SecurityGroup, group)?;
        }
        Ok(())
    }
}

fn change(spec: &mut ListenerSpec, update: &ListenerUpdate) {
    if let Some(backend) = &update.backend {
        spec.backend.clone_from(backend);
    }
    if let Some(group) = &update.security_group {
        spec.security_group.clone_from(group);
    }
}
