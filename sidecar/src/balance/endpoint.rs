//! A server's slot in its group: its weight, its health, and whether it is a candidate.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;

use super::connect_failures::Connects;
use super::counters::Totals;
use super::group::Kind;
use super::health::Health;
use super::health_check::Checks;
use super::outlier::Outlier;
use super::requests::Requests;
use super::server::Server;
use super::service::LastChoice;
use super::tried::Tried;
use super::wrr;
use crate::resolve::HostPort;

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
    /// Whether it may take connections, and is not the last choice.
    pub up: bool,
    /// Why it is the last choice, if it is.
    pub last_choice: Option<LastChoice>,
    /// Whether it is ejected for its answers.
    pub ejected: bool,
    /// Whether it was learned from the mesh; otherwise it was configured.
    pub learned: bool,
    /// Connections to it, and the bytes they carried.
    pub totals: Totals,
    /// HTTP requests to it.
    pub requests: Requests,
    /// Failed attempts to connect to it.
    pub connects: Connects,
    /// Its health checks.
    pub checks: Checks,
}

/// The priority of an endpoint as a candidate; only those with the highest are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// Its node is down, and its health checks or the last connection to it failed.
    FailingLastChoice,
    /// No check has passed yet, and a check or a connection to it failed, or its node is said to leave.
    FailingUntested,
    /// Its node is down.
    LastChoice,
    /// No check has passed yet.
    Untested,
    /// Up, but a connection to it failed after its last health check, or it answers with errors.
    Ejected,
    /// Up, but its node is said to leave.
    Leaving,
    /// Up.
    Good,
}

/// A server's slot in its group.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) server: Arc<Server>,
    pub(super) weight: u32,
    pub(super) health: Health,
    pub(super) learned: bool,
    /// Whether it is at the address of the node that offers it; always, if it was configured.
    pub(super) at_node: bool,
    /// Why it is the last choice, if it is.
    pub(super) last_choice: Option<LastChoice>,
    /// Its node is down and another endpoint is usable: its connections have been ended.
    pub(super) superseded: bool,
    /// Whether its answers keep it out of picks.
    pub(super) outlier: Outlier,
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
    /// Its priority for a request's next pick; `None` if it is not a candidate.
    pub(super) fn priority(&self, tried: &Tried) -> Option<Priority> {
        if tried.contains(self.server.address()) || (self.is_lost() && !tried.may_try_last_choice()) {
            return None;
        }
        let rank = match self.outlier.is_due(tried.began()) {
            true => self.rank_by_connections()?,
            false => self.rank()?,
        };
        match rank {
            // So that a request reaches the last choices, however many addresses nobody has tested come before them.
            Priority::Untested if !tried.prefers_untested() => Some(Priority::FailingUntested),
            rank => Some(rank),
        }
    }

    /// Its priority for a request that has tried nothing yet.
    pub(super) fn rank(&self) -> Option<Priority> {
        let rank = self.rank_by_connections()?;
        let at_most = match self.outlier.is_out() {
            true => Priority::Ejected,
            false => Priority::Good,
        };
        Some(rank.min(at_most))
    }

    /// Its priority as its node, its health checks and connections to it show it. An instance of a node that is down is a candidate even if its
    /// health checks fail, because nothing better is left when it is picked.
    fn rank_by_connections(&self) -> Option<Priority> {
        if self.weight == 0 {
            return None;
        }
        match (self.last_choice, self.health) {
            (_, Health::Down { proven: false, .. }) => None,
            (Some(LastChoice::NodeDown), Health::Up { .. } | Health::Untested { avoided: false, .. }) => {
                Some(Priority::LastChoice)
            }
            (Some(LastChoice::NodeDown), _) => Some(Priority::FailingLastChoice),
            (_, Health::Down { .. }) => None,
            (None, Health::Untested { avoided: false, .. }) => Some(Priority::Untested),
            (_, Health::Untested { .. }) => Some(Priority::FailingUntested),
            (_, Health::Ejected { .. }) => Some(Priority::Ejected),
            (Some(LastChoice::LeaveClaimed), Health::Up { .. }) => Some(Priority::Leaving),
            (None, Health::Up { .. }) => Some(Priority::Good),
        }
    }

    /// Whether it takes any connection: it is up, and nothing speaks against it.
    pub(super) fn is_usable(&self) -> bool {
        self.rank() == Some(Priority::Good)
    }

    /// Whether a client that asks for its address gets it. Unlike a pick, this does not depend on its health, except that
    /// an address which is not its node's must have been up.
    pub(super) fn serves_by_address(&self) -> bool {
        !self.superseded && (self.at_node || self.health.known().is_some())
    }

    /// Its kind, for a connection that picks it.
    pub(super) fn kind(&self) -> Kind {
        match self.health {
            _ if self.is_lost() => Kind::LastChoice,
            Health::Untested { .. } => Kind::Untested,
            _ => Kind::Proven,
        }
    }

    /// Whether its node is down.
    pub(super) fn is_lost(&self) -> bool {
        self.last_choice == Some(LastChoice::NodeDown)
    }

    /// Its load, for least connections.
    pub(super) fn load(&self) -> Load {
        Load {
            active: self.server.counters().active(),
            weight: self.weight,
        }
    }

    /// As listed. `any_usable` says if an endpoint of its group is usable.
    pub(super) fn view(&self, any_usable: bool) -> ServerView {
        let takes_clients = self.health.is_up() || (self.kind() == Kind::Untested && !any_usable);
        ServerView {
            name: self.server.name().to_owned(),
            address: self.server.address(),
            host: self.server.host().cloned(),
            weight: self.weight,
            up: takes_clients && self.last_choice.is_none(),
            last_choice: self.last_choice,
            ejected: self.outlier.is_out(),
            learned: self.learned,
            totals: self.server.counters().totals(),
            requests: self.server.requests().read(),
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
