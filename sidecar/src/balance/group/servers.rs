//! The servers of a group: configured ones are added and removed one by one, learned ones are replaced as a whole.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::{ServerGroup, State};
use crate::balance::endpoint::{Endpoint, ServerView};
use crate::balance::error::ServerError;
use crate::balance::health::Health;
use crate::balance::outlier::Outlier;
use crate::balance::server::Server;
use crate::balance::service::LastChoice;
use crate::resolve::HostPort;

/// A server as the mesh describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedServer {
    /// Unique within its group.
    pub name: String,
    /// The address it listens on.
    pub address: SocketAddr,
    /// Its share of connections relative to the group's other servers; at 0 it takes none.
    pub weight: u32,
    /// Why it is the last choice, if it is.
    pub last_choice: Option<LastChoice>,
    /// Whether it is at the address of the node that offers it. If not, it gets no client before a check has passed.
    pub at_node: bool,
}

/// The weight of a server that nothing gives one: that of the original.
const DEFAULT_WEIGHT: u32 = 10;

/// Where a server comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Configured,
    Learned { at_node: bool },
}

impl ServerGroup {
    /// Adds a configured server. It is down until its first health check.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn add(&self, name: &str, address: SocketAddr, weight: u32) -> Result<(), ServerError> {
        self.add_host(name, address, None, weight)
    }

    /// Adds a configured server, whose address was resolved from a host name if there is one.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn add_host(
        &self,
        name: &str,
        address: SocketAddr,
        host: Option<HostPort>,
        weight: u32,
    ) -> Result<(), ServerError> {
        let mut state = self.state();
        if state.endpoints.iter().any(|e| e.server.name() == name) {
            return Err(ServerError::Exists {
                group: self.name.clone(),
                name: name.to_owned(),
            });
        }
        let endpoint = state.new_endpoint(name.to_owned(), address, host, weight, Origin::Configured);
        let index = state.configured_count();
        state.endpoints.insert(index, endpoint);
        drop(state);
        self.membership.send_replace(());
        Ok(())
    }

    /// Changes a configured server's weight, from the next pick on.
    ///
    /// # Errors
    /// When there is no such server, or it is learned.
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), ServerError> {
        let mut state = self.state();
        let index = self.configured(&state, name)?;
        if std::mem::replace(&mut state.endpoints[index].weight, weight) != weight {
            state.candidates_changed(&self.name);
        }
        Ok(())
    }

    /// Removes a configured server. Its connections live on.
    ///
    /// # Errors
    /// When there is no such server, or it is learned.
    pub fn remove(&self, name: &str) -> Result<(), ServerError> {
        let mut state = self.state();
        let index = self.configured(&state, name)?;
        state.endpoints.remove(index);
        state.candidates_changed(&self.name);
        drop(state);
        self.membership.send_replace(());
        Ok(())
    }

    /// Replaces a server by a new one at another address, to which its host name leads now. Its connections live on.
    pub fn readdress(&self, server: &Server, address: SocketAddr) {
        let mut state = self.state();
        let known = |e: &Endpoint| e.server.id() == server.id();
        let Some(index) = state.endpoints.iter().position(known) else {
            return;
        };
        let (name, host) = (server.name().to_owned(), server.host().cloned());
        let weight = state.endpoints[index].weight;
        state.endpoints[index] = state.new_endpoint(name, address, host, weight, Origin::Configured);
        state.candidates_changed(&self.name);
        drop(state);
        self.membership.send_replace(());
    }

    /// Whether a server was up once, and its last check or connection failed.
    pub fn is_failing(&self, server: &Server) -> bool {
        let state = self.state();
        let mut endpoints = state.endpoints.iter();
        endpoints.any(|e| e.server.id() == server.id() && e.health.is_failing())
    }

    /// Whether a server is up.
    pub fn is_up(&self, server: &Server) -> bool {
        let state = self.state();
        let mut endpoints = state.endpoints.iter();
        endpoints.any(|e| e.server.id() == server.id() && e.health.is_up())
    }

    /// Replaces the servers learned from the mesh. A new one is tried while none is proven, because its own sidecar checks it;
    /// one with the same name and address as before keeps its health and counters. A name that is taken by a configured server or an
    /// earlier one of the list is skipped. Connections to servers that are gone live on.
    pub fn set_learned(&self, servers: Vec<(String, SocketAddr, u32)>) {
        let regular = |(name, address, weight)| LearnedServer {
            name,
            address,
            weight,
            last_choice: None,
            at_node: true,
        };
        self.follow_mesh(servers.into_iter().map(regular), |_| false);
    }

    /// Replaces the servers that a host name leads to, given by name and address. As [`Self::set_learned`], but a new one gets
    /// no client before a check has passed: nobody has said that it serves.
    pub fn set_resolved(&self, servers: impl Iterator<Item = (String, SocketAddr)>) {
        let server = |(name, address)| LearnedServer {
            name,
            address,
            weight: DEFAULT_WEIGHT,
            last_choice: None,
            at_node: false,
        };
        self.follow_mesh(servers.map(server), |_| false);
    }

    /// As [`Self::set_learned`], with last choices among the servers; the connections of those servers that are removed
    /// and for which `is_down` holds are ended.
    pub fn follow_mesh(
        &self,
        servers: impl Iterator<Item = LearnedServer>,
        is_down: impl Fn(SocketAddr) -> bool,
    ) {
        let mut guard = self.state();
        let state = &mut *guard;
        let old = state.endpoints.split_off(state.configured_count());
        let summary = |e: &Endpoint| (e.server.id(), e.weight, e.last_choice, e.at_node);
        let before: Vec<_> = old.iter().map(summary).collect();
        let identity = |e: Endpoint| ((e.server.name().to_owned(), e.server.address()), e);
        let mut old: HashMap<_, _> = old.into_iter().map(identity).collect();
        let mut names: HashSet<_> = state
            .endpoints
            .iter()
            .map(|e| e.server.name().to_owned())
            .collect();
        for learned in servers {
            let LearnedServer {
                name,
                address,
                weight,
                last_choice,
                at_node,
            } = learned;
            if !names.insert(name.clone()) {
                continue;
            }
            let key = (name, address);
            let mut endpoint = match old.remove(&key) {
                Some(known) => Endpoint {
                    weight,
                    at_node,
                    ..known
                },
                None => state.new_endpoint(key.0, address, None, weight, Origin::Learned { at_node }),
            };
            if !at_node {
                endpoint.health.withhold();
            }
            endpoint.last_choice = last_choice;
            state.endpoints.push(endpoint);
        }
        for gone in old.into_values().filter(|gone| is_down(gone.server.address())) {
            gone.server.mark_down(&self.name);
        }
        let now = state.endpoints[state.configured_count()..].iter();
        if now.map(summary).eq(before) {
            return;
        }
        state.candidates_changed(&self.name);
        drop(guard);
        self.membership.send_replace(());
    }

    /// Its servers: the configured ones in the order they were added, then the learned ones.
    pub fn servers(&self) -> Vec<ServerView> {
        let state = self.state();
        let any_usable = state.endpoints.iter().any(Endpoint::is_usable);
        let views = state.endpoints.iter().map(|e| e.view(any_usable));
        views.collect()
    }

    /// The servers whose health is known: name, address, and whether it is up.
    pub fn health(&self) -> Vec<(String, SocketAddr, bool)> {
        let state = self.state();
        let known = state.endpoints.iter().filter_map(|e| {
            let up = e.health.known()?;
            Some((e.server.name().to_owned(), e.server.address(), up))
        });
        known.collect()
    }

    /// Sets the health of a server to what another process of the sidecar knew.
    pub fn resume_health(&self, name: &str, address: SocketAddr, up: bool) {
        let mut state = self.state();
        let mut endpoints = state.endpoints.iter_mut();
        if let Some(endpoint) = endpoints.find(|e| e.server.name() == name && e.server.address() == address) {
            endpoint.health = Health::resumed(up);
            state.candidates_changed(&self.name);
        }
    }

    fn configured(&self, state: &State, name: &str) -> Result<usize, ServerError> {
        let index = state.endpoints.iter().position(|e| e.server.name() == name);
        let (group, name) = (self.name.clone(), name.to_owned());
        match index {
            None => Err(ServerError::Unknown { group, name }),
            Some(index) if state.endpoints[index].learned => Err(ServerError::Learned { group, name }),
            Some(index) => Ok(index),
        }
    }
}

impl State {
    /// Number of configured servers, which come first.
    fn configured_count(&self) -> usize {
        self.endpoints.partition_point(|e| !e.learned)
    }

    fn new_endpoint(
        &mut self,
        name: String,
        address: SocketAddr,
        host: Option<HostPort>,
        weight: u32,
        origin: Origin,
    ) -> Endpoint {
        let id = self.next_id;
        self.next_id += 1;
        Endpoint {
            server: Arc::new(Server::new(id, name, address).of_host(host)),
            weight,
            health: match origin {
                Origin::Learned { at_node: true } => Health::untested(),
                Origin::Configured | Origin::Learned { at_node: false } => Health::unproven(),
            },
            learned: origin != Origin::Configured,
            at_node: origin != Origin::Learned { at_node: false },
            last_choice: None,
            superseded: false,
            outlier: Outlier::default(),
            current_weight: 0,
        }
    }
}
