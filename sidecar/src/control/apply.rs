//! What each command does to what runs. The model has agreed to it by then.

use std::sync::Arc;

use super::command::{Add, Command, ListenerName, ListenerUpdate, Remove, Update};
use super::error::CommandError;
use super::grammar::Resource;
use super::lines;
use super::model::Model;
use super::offers::Offers;
use super::registration::Registration;
use super::running::{Door, Group, Running};
use super::smart_group::{MeshInstances, SmartGroup};
use crate::balance::{ServerGroup, ServerGroups};
use crate::interface::Pinned;
use crate::proxy::access::SecurityGroup;

/// What commands act with and on. `model` is the configuration as it will be.
pub(super) struct Apply<'a> {
    pub(super) running: &'a mut Running,
    pub(super) model: &'a Model,
    pub(super) offers: &'a Offers,
    pub(super) instances: Option<&'a MeshInstances>,
    pub(super) pinned: Option<&'a Pinned>,
}

impl Apply<'_> {
    /// Gives a registration without a port one that is free, so that what is recorded is what is done.
    pub(super) fn allocate(
        running: &Running,
        pinned: Option<&Pinned>,
        command: Command,
    ) -> Result<Command, CommandError> {
        Ok(match command {
            Command::Add(Add::SmartNodeDelegate { name, mut spec }) => {
                let taken = |address| running.registrations.values().any(|r| r.address() == address);
                spec.port = Some(Registration::place(&spec, pinned, taken)?.port());
                Command::Add(Add::SmartNodeDelegate { name, spec })
            }
            other => other,
        })
    }

    /// Says of a server that the configuration does not know that it is the mesh's, where it is.
    pub(super) fn explain(running: &Running, command: &Command, error: CommandError) -> CommandError {
        let (name, group) = match command {
            Command::Remove {
                what: Remove::Server { name, group },
                ..
            }
            | Command::Update(Update::Server { name, group, .. }) => (name, group),
            _ => return error,
        };
        let servers = running.group(group).map(|g| g.servers()).unwrap_or_default();
        if !servers.iter().any(|s| s.learned && s.name == *name) {
            return error;
        }
        CommandError::invalid(
            name,
            format!("server {name} of server-group {group} is the mesh's: change it where it is offered"),
        )
    }

    pub(super) fn add(&mut self, add: &Add) -> Result<(), CommandError> {
        let running = &mut *self.running;
        match add {
            Add::ServerGroups { name } => {
                running
                    .server_groups
                    .insert(name.clone(), ServerGroups::new(name));
            }
            Add::ServerGroup { name, spec } => {
                let group = ServerGroup::new(name, spec.check, spec.method);
                running.groups.insert(name.clone(), Group::start(group));
            }
            Add::ServerGroupTo { name, groups, weight } => {
                let group = running.group(name)?;
                running
                    .backends(groups)?
                    .attach(group, *weight)
                    .map_err(|e| unfit(name, &e))?;
            }
            Add::Server {
                name,
                group,
                address,
                weight,
            } => {
                running
                    .group(group)?
                    .add(name, *address, *weight)
                    .map_err(|e| unfit(name, &e))?;
            }
            Add::TcpLb { name, spec } => running.open(ListenerName::TcpLb(name.clone()), spec, false)?,
            Add::Socks5Server {
                name,
                spec,
                allow_non_backend,
            } => {
                running.open(ListenerName::Socks5Server(name.clone()), spec, *allow_non_backend)?;
            }
            Add::SecurityGroup { name, .. } => {
                let policy = self.model.security_groups.get(name).map(|g| g.policy());
                running
                    .security_groups
                    .extend(policy.map(|p| (name.clone(), SecurityGroup::new(p))));
            }
            Add::SecurityGroupRule { group, .. } => self.refresh_security_group(group),
            Add::SmartGroupDelegate { name, spec } => {
                let instances = self.instances.cloned().ok_or_else(|| no_mesh(name))?;
                let group = running.group(&spec.group)?;
                running
                    .smart_groups
                    .insert(name.clone(), SmartGroup::start(spec, group, instances));
            }
            Add::SmartNodeDelegate { name, spec } => {
                self.instances.ok_or_else(|| no_mesh(name))?;
                let address = Registration::place(spec, self.pinned, |_| false)?;
                let registration = Registration::start(spec, address, self.offers.clone());
                running.registrations.insert(name.clone(), registration);
            }
        }
        Ok(())
    }

    pub(super) fn update(&mut self, update: &Update) -> Result<(), CommandError> {
        let running = &mut *self.running;
        match update {
            Update::ServerGroup { name, check, method } => {
                let group = running.group(name)?;
                group.set_check_config(check.applied_to(group.check_config()));
                if let Some(method) = method {
                    group.set_method(*method);
                }
            }
            Update::ServerGroupIn { name, groups, weight } => {
                running
                    .backends(groups)?
                    .set_weight(name, *weight)
                    .map_err(|e| unfit(name, &e))?;
            }
            Update::Server { name, group, weight } => {
                running
                    .group(group)?
                    .set_weight(name, *weight)
                    .map_err(|e| unfit(name, &e))?;
            }
            Update::TcpLb { name, listener } => {
                update_listener(running, &ListenerName::TcpLb(name.clone()), listener)?;
            }
            Update::Socks5Server {
                name,
                listener,
                allow_non_backend,
            } => {
                let door = update_listener(running, &ListenerName::Socks5Server(name.clone()), listener)?;
                if let (Door::Socks5Server(server), Some(allow)) = (&*door, allow_non_backend) {
                    server.set_allow_non_backend(*allow);
                }
            }
            Update::SecurityGroup { name, .. } => self.refresh_security_group(name),
        }
        Ok(())
    }

    /// Removes one thing; a listener whose end can be waited for is returned.
    pub(super) fn remove(&mut self, remove: &Remove) -> Result<Option<Arc<Door>>, CommandError> {
        let running = &mut *self.running;
        match remove {
            Remove::ServerGroups(name) => {
                running.server_groups.remove(name);
            }
            Remove::ServerGroup(name) => {
                running.groups.remove(name);
            }
            Remove::ServerGroupFrom { name, groups } => {
                running
                    .backends(groups)?
                    .detach(name)
                    .map_err(|e| unfit(name, &e))?;
            }
            Remove::Server { name, group } => {
                running.group(group)?.remove(name).map_err(|e| unfit(name, &e))?;
            }
            Remove::TcpLb(name) => return Ok(running.take_listener(&ListenerName::TcpLb(name.clone()))),
            Remove::Socks5Server(name) => {
                return Ok(running.take_listener(&ListenerName::Socks5Server(name.clone())));
            }
            Remove::SecurityGroup(name) => {
                running.security_groups.remove(name);
            }
            Remove::SecurityGroupRule { group, .. } => self.refresh_security_group(group),
            Remove::SmartGroupDelegate(name) => {
                running.smart_groups.remove(name);
            }
            Remove::SmartNodeDelegate(name) => {
                running.registrations.remove(name);
            }
            Remove::Session { which, listener } => {
                let door = running.listener(listener)?;
                let cut = door
                    .listener()
                    .abort_sessions(|session| which.matches(&lines::session(session)));
                if cut == 0 {
                    return Err(CommandError::not_found(Resource::Session, which.to_string()));
                }
            }
        }
        Ok(None)
    }

    fn refresh_security_group(&self, name: &str) {
        if let (Some(group), Some(now)) = (
            self.running.security_groups.get(name),
            self.model.security_groups.get(name),
        ) {
            group.set(now.policy());
        }
    }
}

fn update_listener(
    running: &Running,
    name: &ListenerName,
    update: &ListenerUpdate,
) -> Result<Arc<Door>, CommandError> {
    let door = running.listener(name)?;
    let security_group = match &update.security_group {
        Some(group) => Some(running.security_group(group.as_deref())?),
        None => None,
    };
    if let Some(backend) = &update.backend {
        door.set_backends(running.backends(backend)?);
    }
    if let Some(group) = security_group {
        door.listener().set_security_group(group);
    }
    Ok(door)
}

fn unfit(word: &str, error: &dyn std::error::Error) -> CommandError {
    CommandError::invalid(word, error.to_string())
}

fn no_mesh(name: &str) -> CommandError {
    CommandError::refused(
        name,
        "this sidecar is in no mesh: start it with --discovery-config",
    )
}
