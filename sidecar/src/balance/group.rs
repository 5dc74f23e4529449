//! A set of servers with one balancing method and one health check.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::connect_times::{ConnectTimer, ConnectTimes};
use super::connects::{ConnectCounters, Connects};
use super::counters::Counters;
use super::endpoint::{Endpoint, ServerView, Standing};
use super::error::ServerError;
use super::health::{CheckConfig, CheckOutcome, Health};
use super::lease::{Lease, Tried};
use super::method::Method;
use super::server::Server;
use super::wrr;

/// A set of servers, shared by all who pick from it, check it, or change it.
///
/// Whenever the candidates or their weights change, round robin starts a fresh cycle, so that shares are
/// exact from the next pick on.
#[derive(Debug)]
pub struct ServerGroup {
    name: String,
    check_config: watch::Sender<CheckConfig>,
    /// Ticks when servers come or go.
    membership: watch::Sender<()>,
    counters: Counters,
    pub(super) connects: ConnectCounters,
    pub(super) connect_timer: ConnectTimer,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    method: Method,
    next_id: u64,
    /// The configured ones in the order they were added, then the learned ones in the mesh's order.
    members: Vec<Endpoint>,
}

impl ServerGroup {
    /// An empty group.
    pub fn new(name: impl Into<String>, check_config: CheckConfig, method: Method) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            check_config: watch::Sender::new(check_config),
            membership: watch::Sender::new(()),
            counters: Counters::default(),
            connects: ConnectCounters::default(),
            connect_timer: ConnectTimer::default(),
            state: Mutex::new(State {
                method,
                next_id: 0,
                members: Vec::new(),
            }),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its servers are checked.
    pub fn check_config(&self) -> CheckConfig {
        *self.check_config.borrow()
    }

    /// Changes how its servers are checked, from now on.
    pub fn set_check_config(&self, config: CheckConfig) {
        self.check_config.send_replace(config);
    }

    /// How it chooses.
    pub fn method(&self) -> Method {
        self.state().method
    }

    /// Changes how it chooses, from the next pick on.
    pub fn set_method(&self, method: Method) {
        let mut state = self.state();
        if state.method != method {
            state.method = method;
            wrr::restart(&mut state.members);
        }
    }

    /// What went through its servers, the removed ones included.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How connecting to its servers failed, the removed ones included.
    pub fn connects(&self) -> Connects {
        self.connects.read()
    }

    /// How long connecting to its servers took where it succeeded, the removed ones included.
    pub fn connect_times(&self) -> ConnectTimes {
        self.connect_timer.read()
    }

    /// Adds a configured server. It is down until its first check.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn add(&self, name: &str, address: SocketAddr, weight: u32) -> Result<(), ServerError> {
        let mut state = self.state();
        if state.members.iter().any(|m| m.server.name() == name) {
            return Err(ServerError::Exists {
                group: self.name.clone(),
                name: name.to_owned(),
            });
        }
        let member = state.member(name.to_owned(), address, weight, Origin::Configured);
        let place = state.configured_count();
        state.members.insert(place, member);
        drop(state);
        self.membership.send_replace(());
        Ok(())
    }

    /// Changes a configured server's weight, from the next pick on.
    ///
    /// # Errors
    /// When there is no such server or it is the mesh's.
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), ServerError> {
        let mut state = self.state();
        let index = self.configured(&state, name)?;
        if std::mem::replace(&mut state.members[index].weight, weight) != weight {
            wrr::restart(&mut state.members);
        }
        Ok(())
    }

    /// Removes a configured server. Its connections live on.
    ///
    /// # Errors
    /// When there is no such server or it is the mesh's.
    pub fn remove(&self, name: &str) -> Result<(), ServerError> {
        let mut state = self.state();
        let index = self.configured(&state, name)?;
        state.members.remove(index);
        wrr::restart(&mut state.members);
        drop(state);
        self.membership.send_replace(());
        Ok(())
    }

    /// Replaces what the mesh taught. A new server is up at once, on its own sidecar's word; one that was
    /// there with the same name and address keeps its health and counters. A name that a configured server
    /// or an earlier one of the list has is passed over. Connections to servers that are gone live on.
    pub fn set_learned(&self, servers: Vec<(String, SocketAddr, u32)>) {
        self.set_learned_marking_down(servers, |_| false);
    }

    /// As [`Self::set_learned`]; but where a server that is gone is lost, its connections are ended at once.
    pub fn set_learned_marking_down(
        &self,
        servers: Vec<(String, SocketAddr, u32)>,
        is_lost: impl Fn(SocketAddr) -> bool,
    ) {
        let mut guard = self.state();
        let state = &mut *guard;
        let old = state.members.split_off(state.configured_count());
        let before: Vec<(u64, u32)> = old.iter().map(|m| (m.server.id(), m.weight)).collect();
        let identity = |m: Endpoint| ((m.server.name().to_owned(), m.server.address()), m);
        let mut old: HashMap<_, _> = old.into_iter().map(identity).collect();
        let mut names: HashSet<_> = state.members.iter().map(|m| m.server.name().to_owned()).collect();
        for (name, address, weight) in servers {
            if !names.insert(name.clone()) {
                continue;
            }
            let key = (name, address);
            let member = match old.remove(&key) {
                Some(stays) => Endpoint { weight, ..stays },
                None => state.member(key.0, address, weight, Origin::Learned),
            };
            state.members.push(member);
        }
        for gone in old.into_values().filter(|gone| is_lost(gone.server.address())) {
            gone.server.mark_down(&self.name);
        }
        let now = state.members[state.configured_count()..].iter();
        if now.map(|m| (m.server.id(), m.weight)).eq(before) {
            return;
        }
        wrr::restart(&mut state.members);
        drop(guard);
        self.membership.send_replace(());
    }

    /// All its servers: the configured ones in the order they were added, then the learned ones.
    pub fn servers(&self) -> Vec<ServerView> {
        self.state().members.iter().map(Endpoint::view).collect()
    }

    /// Picks a server for a client: one that is up, has a weight and was not tried by this connection; a
    /// suspect only where there is no other. `None` where there is no such server.
    pub fn pick(self: &Arc<Self>, client: IpAddr, tried: &Tried) -> Option<Lease> {
        let mut guard = self.state();
        let State { method, members, .. } = &mut *guard;
        let index = method.choose(members, client, tried)?;
        // Made under the lock, so that the next pick sees this connection counted.
        Some(Lease::new(Arc::clone(self), Arc::clone(&members[index].server)))
    }

    /// A claim on the server with exactly this address, whatever its health.
    pub(super) fn lease_at(self: &Arc<Self>, address: SocketAddr) -> Option<Lease> {
        let state = self.state();
        let member = state.members.iter().find(|m| m.server.address() == address)?;
        Some(Lease::new(Arc::clone(self), Arc::clone(&member.server)))
    }

    /// How well its best candidate stands.
    pub(super) fn standing(&self, tried: &Tried) -> Option<Standing> {
        let state = self.state();
        state.members.iter().filter_map(|m| m.standing(tried)).max()
    }

    pub(super) fn eject(&self, server: &Server) {
        let mut state = self.state();
        let member = state.members.iter_mut().find(|m| m.server.id() == server.id());
        if member.is_some_and(|m| !std::mem::replace(&mut m.ejected, true)) {
            wrr::restart(&mut state.members);
        }
    }

    /// The servers to check.
    pub fn checked(&self) -> Vec<Arc<Server>> {
        self.state()
            .members
            .iter()
            .map(|m| Arc::clone(&m.server))
            .collect()
    }

    /// Takes in the outcome of a check. Returns whether the server is up now, where that changed; a server
    /// that is gone changes nothing. Checks without an answer that take it down also end its connections; where
    /// its machine refuses, that machine ends those which its program does not.
    pub fn report(&self, server: &Server, outcome: CheckOutcome) -> Option<bool> {
        let config = self.check_config();
        let mut state = self.state();
        let member = state.members.iter_mut().find(|m| m.server.id() == server.id())?;
        server.checks.count(outcome);
        let cleared = outcome == CheckOutcome::Passed && std::mem::take(&mut member.ejected);
        let change = member.health.observe(outcome, &config);
        if cleared || change.is_some() {
            wrr::restart(&mut state.members);
        }
        if change == Some(false) && outcome == CheckOutcome::Failed {
            server.mark_down(&self.name);
        }
        change
    }

    /// Tells when servers come or go.
    pub fn watch_membership(&self) -> watch::Receiver<()> {
        self.membership.subscribe()
    }

    /// Tells when the way of checking changes.
    pub fn watch_check_config(&self) -> watch::Receiver<CheckConfig> {
        self.check_config.subscribe()
    }

    fn configured(&self, state: &State, name: &str) -> Result<usize, ServerError> {
        let index = state.members.iter().position(|m| m.server.name() == name);
        let (group, name) = (self.name.clone(), name.to_owned());
        match index {
            None => Err(ServerError::Unknown { group, name }),
            Some(index) if state.members[index].learned => Err(ServerError::Learned { group, name }),
            Some(index) => Ok(index),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock leaves the state half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Configured,
    Learned,
}

impl State {
    /// The configured servers are the first ones.
    fn configured_count(&self) -> usize {
        self.members.partition_point(|m| !m.learned)
    }

    fn member(&mut self, name: String, address: SocketAddr, weight: u32, origin: Origin) -> Endpoint {
        let id = self.next_id;
        self.next_id += 1;
        Endpoint {
            server: Arc::new(Server::new(id, name, address)),
            weight,
            health: match origin {
                Origin::Configured => Health::undecided(),
                Origin::Learned => Health::vouched(),
            },
            ejected: false,
            learned: origin == Origin::Learned,
            credit: 0,
        }
    }
}
