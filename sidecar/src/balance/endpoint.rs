//! A server's place in its group: its share, its health, and whether it is a candidate.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;

use super::connects::Connects;
use super::counters::Totals;
use super::health::{Checks, Health};
use super::lease::Tried;
use super::server::Server;
use super::wrr;

/// One server as it shows from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Unique within its group.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share relative to its siblings; 0 takes no connections.
    pub weight: u32,
    /// Whether it may take connections.
    pub up: bool,
    /// Whether the mesh taught it (otherwise it was configured).
    pub learned: bool,
    /// Connections to it and the bytes they carried.
    pub totals: Totals,
    /// How connecting to it failed.
    pub connects: Connects,
    /// How its checks went.
    pub checks: Checks,
}

/// How well a candidate stands: an ejected one is chosen only if there is no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Ejected,
    Good,
}

/// A server's place in its group.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) server: Arc<Server>,
    pub(super) weight: u32,
    pub(super) health: Health,
    /// A client's connection failed since the last check that passed.
    pub(super) ejected: bool,
    pub(super) learned: bool,
    pub(super) credit: i64,
}

impl wrr::Turns for Endpoint {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn credit(&mut self) -> &mut i64 {
        &mut self.credit
    }
}

impl Endpoint {
    /// Whether and how well it is a candidate.
    pub(super) fn standing(&self, tried: &Tried) -> Option<Standing> {
        if !self.health.is_up() || self.weight == 0 || tried.contains(self.server.address()) {
            None
        } else if self.ejected {
            Some(Standing::Ejected)
        } else {
            Some(Standing::Good)
        }
    }

    /// How busy it is for its weight.
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
