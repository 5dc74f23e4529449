//! Applies commands: the one owner of the configuration and of what runs because of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::command::{Add, Command, ListenerSpec, Remove, SmartNodeSpec};
use super::error::CommandError;
use super::grammar::Resource;
use super::model::Model;
use super::offers::Offers;
use super::registration::Registration;
use super::smart_group::{self, MeshInstances};
use crate::balance::{Method, ServerGroup, ServerGroups, ServerView};
use crate::health;
use crate::proxy::Limits;
use crate::proxy::listener::bind;
use crate::proxy::socks5::Socks5Server;
use crate::proxy::tcp_lb::TcpLb;

/// Applies commands. A command is checked against the configuration, done, and recorded, in this order; one
/// that is refused on the way changes nothing.
#[derive(Debug)]
pub struct Controller {
    offers: Offers,
    /// `None` where the sidecar is in no mesh.
    instances: Option<MeshInstances>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    model: Model,
    running: Running,
}

/// What runs because of the configuration, by name.
#[derive(Debug, Default)]
struct Running {
    server_groups: HashMap<String, Arc<ServerGroups>>,
    groups: HashMap<String, RunningGroup>,
    tcp_lbs: HashMap<String, TcpLb>,
    socks5_servers: HashMap<String, Socks5Server>,
    smart_groups: HashMap<String, AbortOnDropHandle<()>>,
    registrations: HashMap<String, Registration>,
}

#[derive(Debug)]
struct RunningGroup {
    group: Arc<ServerGroup>,
    /// Ends its health checks when dropped.
    _checks: DropGuard,
}

/// A server group as it is now.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// How it chooses.
    pub method: Method,
    /// Its servers.
    pub servers: Vec<ServerView>,
}

/// A registration as it is now.
#[derive(Debug, Clone)]
pub struct RegistrationView {
    /// Its name.
    pub name: String,
    /// What was asked for.
    pub spec: SmartNodeSpec,
    /// Where the instance listens, or is to listen.
    pub address: SocketAddr,
    /// Whether the mesh is told of it now.
    pub announced: bool,
}

impl Controller {
    /// A controller without any configuration. It tells `offers` what to announce, and fills smart groups from
    /// `instances`; without those the sidecar is in no mesh, and commands that need one are refused.
    #[must_use]
    pub fn new(offers: Offers, instances: Option<MeshInstances>) -> Self {
        Self {
            offers,
            instances,
            state: Mutex::default(),
        }
    }

    /// Applies one command.
    ///
    /// # Errors
    /// When it does not fit the configuration, or the machine does not let it be done. Nothing is changed then.
    pub fn apply(&self, command: Command) -> Result<(), CommandError> {
        let mut guard = self.state();
        let State { model, running } = &mut *guard;
        let command = running.allocate(command)?;
        let mut next = model.clone();
        next.apply(&command)?;
        match &command {
            Command::Add(add) => self.start(running, add)?,
            Command::Remove(Remove::SmartNodeDelegate { name }) => {
                running.registrations.remove(name);
            }
        }
        *model = next;
        tracing::debug!(?command, "applied");
        Ok(())
    }

    /// The server groups, in the order in which they were added.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        let state = self.state();
        let groups = state
            .model
            .groups
            .keys()
            .filter_map(|name| state.running.groups.get(name));
        groups
            .map(|RunningGroup { group, .. }| GroupView {
                name: group.name().to_owned(),
                method: group.method(),
                servers: group.servers(),
            })
            .collect()
    }

    /// The registrations, in the order in which they were made.
    #[must_use]
    pub fn registrations(&self) -> Vec<RegistrationView> {
        let state = self.state();
        let views = state.model.smart_nodes.iter().filter_map(|(name, spec)| {
            let registration = state.running.registrations.get(name)?;
            Some(RegistrationView {
                name: name.clone(),
                spec: spec.clone(),
                address: registration.address(),
                announced: registration.is_announced(),
            })
        });
        views.collect()
    }

    /// Where the listeners listen, by name.
    #[must_use]
    pub fn listeners(&self) -> Vec<(String, SocketAddr)> {
        let state = self.state();
        let tcp_lbs = state
            .running
            .tcp_lbs
            .iter()
            .map(|(name, lb)| (name.clone(), lb.listener().local_addr()));
        let socks5 = state.running.socks5_servers.iter();
        tcp_lbs
            .chain(socks5.map(|(name, s)| (name.clone(), s.listener().local_addr())))
            .collect()
    }

    /// Ends everything: listeners stop accepting at once, their connections have until the deadline to finish.
    /// Returns how many were cut then.
    pub async fn drain(&self, deadline: Duration) -> usize {
        let running = std::mem::take(&mut *self.state()).running;
        let mut drains = JoinSet::new();
        for lb in running.tcp_lbs.into_values() {
            drains.spawn(async move { lb.listener().drain(deadline).await });
        }
        for server in running.socks5_servers.into_values() {
            drains.spawn(async move { server.listener().drain(deadline).await });
        }
        drains.join_all().await.into_iter().sum()
    }

    fn start(&self, running: &mut Running, add: &Add) -> Result<(), CommandError> {
        match add {
            Add::ServerGroups { name } => {
                running
                    .server_groups
                    .insert(name.clone(), ServerGroups::new(name));
            }
            Add::ServerGroup { name, spec } => {
                let group = ServerGroup::new(name, spec.check, spec.method);
                let stop = CancellationToken::new();
                // Detached: it ends with the token, which is cancelled when the group is dropped here.
                health::spawn(Arc::clone(&group), stop.clone());
                let checks = stop.drop_guard();
                running.groups.insert(
                    name.clone(),
                    RunningGroup {
                        group,
                        _checks: checks,
                    },
                );
            }
            Add::ServerGroupTo { name, groups, weight } => {
                let group = running.group(name)?;
                let groups = running.server_groups(groups)?;
                groups
                    .attach(group, *weight)
                    .map_err(|e| CommandError::invalid(name, e.to_string()))?;
            }
            Add::Server {
                name,
                group,
                address,
                weight,
            } => {
                let group = running.group(group)?;
                group
                    .add(name, *address, *weight)
                    .map_err(|e| CommandError::invalid(name, e.to_string()))?;
            }
            Add::TcpLb { name, spec } => {
                let backends = running.server_groups(&spec.backend)?;
                let lb = TcpLb::start(listen(spec)?, backends, Limits::default())
                    .map_err(|e| not_started(spec, &e))?;
                running.tcp_lbs.insert(name.clone(), lb);
            }
            Add::Socks5Server {
                name,
                spec,
                allow_non_backend,
            } => {
                let backends = running.server_groups(&spec.backend)?;
                let server =
                    Socks5Server::start(listen(spec)?, backends, *allow_non_backend, Limits::default())
                        .map_err(|e| not_started(spec, &e))?;
                running.socks5_servers.insert(name.clone(), server);
            }
            Add::SmartGroupDelegate { name, spec } => {
                let instances = self.instances.clone().ok_or_else(|| no_mesh(name))?;
                let group = running.group(&spec.group)?;
                running
                    .smart_groups
                    .insert(name.clone(), smart_group::follow(spec, group, instances));
            }
            Add::SmartNodeDelegate { name, spec } => {
                self.instances.as_ref().ok_or_else(|| no_mesh(name))?;
                let address = Registration::place(spec, |_| false)?;
                let registration = Registration::start(spec, address, self.offers.clone());
                running.registrations.insert(name.clone(), registration);
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of one command; the others can still be applied.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Gives a registration without a port one that is free.
    fn allocate(&self, command: Command) -> Result<Command, CommandError> {
        Ok(match command {
            Command::Add(Add::SmartNodeDelegate { name, mut spec }) => {
                let taken = |address| self.registrations.values().any(|r| r.address() == address);
                spec.port = Some(Registration::place(&spec, taken)?.port());
                Command::Add(Add::SmartNodeDelegate { name, spec })
            }
            other => other,
        })
    }

    fn group(&self, name: &str) -> Result<Arc<ServerGroup>, CommandError> {
        match self.groups.get(name) {
            Some(running) => Ok(Arc::clone(&running.group)),
            None => Err(CommandError::NotFound {
                resource: Resource::ServerGroup,
                name: name.to_owned(),
            }),
        }
    }

    fn server_groups(&self, name: &str) -> Result<Arc<ServerGroups>, CommandError> {
        match self.server_groups.get(name) {
            Some(groups) => Ok(Arc::clone(groups)),
            None => Err(CommandError::NotFound {
                resource: Resource::ServerGroups,
                name: name.to_owned(),
            }),
        }
    }
}

fn listen(spec: &ListenerSpec) -> Result<std::net::TcpListener, CommandError> {
    bind(spec.address).map_err(|e| {
        CommandError::refused(
            spec.address.to_string(),
            format!("cannot listen on address {}: {}", e.address, e.source),
        )
    })
}

fn not_started(spec: &ListenerSpec, error: &std::io::Error) -> CommandError {
    CommandError::refused(
        spec.address.to_string(),
        format!("cannot serve address {}: {error}", spec.address),
    )
}

fn no_mesh(name: &str) -> CommandError {
    CommandError::refused(
        name,
        "this sidecar is in no mesh: start it with --discovery-config",
    )
}
