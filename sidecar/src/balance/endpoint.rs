//! A server's slot in its group: its weight, its health, and whether it is a candidate.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;

use super::connect_failures::Connects;
use super::counters::Totals;
use super::health_check::{Checks, Health};
use super::server::Server;
use super::wrr;
use crate::resolve::HostPort;

/// The addresses that one connection has tried already. Allocates nothing while empty.
#[derive(Debug, Default)]
pub struct Tried(Vec<SocketAddr>);

impl Tried {
    /// No address tried yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves the address out of this connection's further picks.
    pub fn add(&mut self, address: SocketAddr) {
        self.0.push(address);
    }

    /// Whether the address was tried.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether this is the connection's first pick.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A server of a group, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Unique within its group.
    pub name: String,
    /// The address it listens on.
    pub address: SocketAddr,
    /// The host name that the address was resolved from, if it was.
    pub host: Option<HostPort>,
    /// Its share of connections relative to the group's other servers; at 0 it takes none.
    pub weight: u32,
    /// Whether it may take connections.
    pub up: bool,
    /// Whether it was learned from the mesh; otherwise it was configured.
    pub learned: bool,
    /// Connections to it, and the bytes they carried.
    pub totals: Totals,
    /// Failed attempts to connect to it.
    pub connects: Connects,
    /// Its health checks.
    pub checks: Checks,
}

/// The priority of an endpoint as a candidate; only those with the highest are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// Up, but a connection to it failed after its last health check.
    Ejected,
    /// Up.
    Good,
}

/// A server's slot in its group.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) server: Arc<Server>,
    pub(super) weight: u32,
    pub(super) health: Health,
    /// Whether a client's connection failed since the last health check that passed.
    pub(super) ejected: bool,
    pub(super) learned: bool,
    /// See [`wrr`].
    pub(super) current_weight: i64,
}

impl wrr::Weighted for Endpoint {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn current_weight(&mut self) -> &mut i64 {
        &mut self.current_weight
    }
}

impl Endpoint {
    /// Its priority for a connection's next pick; `None` if it is not a candidate.
    pub(super) fn priority(&self, tried: &Tried) -> Option<Priority> {
        if !self.health.is_up() || self.weight == 0 || tried.contains(self.server.address()) {
            None
        } else if self.ejected {
            Some(Priority::Ejected)
        } else {
            Some(Priority::Good)
        }
    }

    /// Its load, for least connections.
    pub(super) fn load(&self) -> Load {
        Load {
            active: self.server.counters().active(),
            weight: self.weight,
        }
    }

    pub(super) fn view(&self) -> ServerView {
        ServerView {
            name: self.server.name().to_owned(),
            address: self.server.address(),
            host: self.server.host().cloned(),
            weight: self.weight,
            up: self.health.is_up(),
            learned: self.learned,
            totals: self.server.counters().totals(),
            connects: self.server.connects(),
            checks: self.server.checks(),
        }
    }
}

/// Active connections per weight; the weight is not 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    active: u64,
    weight: u32,
}

impl Load {
    pub(super) fn cmp(self, other: Self) -> Ordering {
        let scaled = |active: u64, weight: u32| u128::from(active) * u128::from(weight);
        scaled(self.active, other.weight).cmp(&scaled(other.active, self.weight))
    }
}
