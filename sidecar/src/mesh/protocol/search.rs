//! Search: which targets of the network are sent a `search`, in which order and at which pace.
//!
//! Near addresses are searched in bursts and often, because container networks number from the start; a settled node
//! searches them one by one. All others are swept steadily and slowly (see [`super::sweep`]), because every address
//! that does not answer holds an entry of the kernel's neighbour table for seconds, and all containers of a machine
//! share it. Loopback resolves no addresses: more of it is near until the node is settled.

use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;

use super::config::Config;
use super::membership::Membership;
use super::sweep::Sweep;
use super::targets::Search;
use super::timers::jittered;

/// One visit of each near target.
#[derive(Debug)]
struct Round {
    search: Search,
    left: Range<u64>,
    /// Begun by a settled node; it goes on step by step.
    settled: bool,
}

impl Round {
    /// The next targets, at most `count`; none once the round is over.
    fn take(&mut self, count: usize) -> Vec<SocketAddr> {
        let Self { search, left, .. } = self;
        left.filter_map(|number| search.target(number))
            .take(count)
            .collect()
    }
}

/// The rounds over near targets and the sweeps over the others.
#[derive(Debug)]
pub(super) struct Searches {
    config: Arc<Config>,
    search: Search,
    round: Round,
    /// Targets in a round of a node that is not settled.
    wide: u64,
    /// Targets in a round of a settled node.
    near: u64,
    /// The addresses of those, which are contiguous.
    near_addresses: RangeInclusive<IpAddr>,
    sweep: Sweep,
    /// Visits of the other targets at the pace of a first sweep.
    visits: u32,
    /// Rounds completed since the node was last alone.
    rounds: u32,
    /// Sweeps completed since then.
    sweeps: u32,
    near_at: Duration,
    far_at: Duration,
}

impl Searches {
    /// Rounds over the nearest addresses, including our own for its other ports; and a sweep of the rest.
    pub(super) fn new(config: Arc<Config>, search: Search, rng: &mut StdRng) -> Self {
        let nearest = u64::try_from(config.search_near).unwrap_or(u64::MAX);
        let at_once = if search.own().is_loopback() {
            nearest.max(u64::try_from(config.search_near_loopback).unwrap_or(u64::MAX))
        } else {
            nearest
        };
        let targets = |addresses: u64| addresses.saturating_add(1).min(search.addresses()) * search.ports();
        let (near, wide) = (targets(nearest), targets(at_once));
        let all = search.addresses() * search.ports();
        let addresses = (0..near / search.ports()).map(|rank| search.address(rank));
        let first = addresses.clone().min().unwrap_or(search.own());
        let last = addresses.max().unwrap_or(search.own());
        // A wide round covers the beginning of the sweep.
        let far_at = if wide > near {
            config.search_far_settled_pause
        } else {
            Duration::ZERO
        };
        Self {
            round: Round {
                search,
                left: 0..wide,
                settled: false,
            },
            search,
            wide,
            near,
            near_addresses: first..=last,
            sweep: Sweep::new(search, near..all, rng),
            visits: 0,
            rounds: 0,
            sweeps: 0,
            near_at: Duration::ZERO,
            far_at,
            config,
        }
    }

    /// When the next near targets are due.
    pub(super) fn near_at(&self) -> Duration {
        self.near_at
    }

    /// When the next of the other targets are due.
    pub(super) fn far_at(&self) -> Duration {
        self.far_at
    }

    fn is_settled(&self, membership: &Membership) -> bool {
        self.rounds >= self.config.search_min_rounds && !membership.is_alone()
    }

    fn restart_round(&mut self, settled: bool) {
        self.round.settled = settled;
        self.round.left = 0..if settled { self.near } else { self.wide };
    }

    /// The near targets to search now.
    pub(super) fn near(
        &mut self,
        now: Duration,
        membership: &Membership,
        rng: &mut StdRng,
    ) -> Vec<SocketAddr> {
        let burst = self.config.search_burst;
        // A settled node searches one address at a time.
        let step = self.search.ports_at_once(burst);
        let begins = self.round.left.start == 0;
        let mut targets = self.round.take(if self.round.settled { step } else { burst });
        let over = targets.is_empty();
        if begins && self.rounds > 0 && membership.is_alone() {
            let first = self.search.first(self.config.search_first);
            let distant = first.filter(|target| !self.near_addresses.contains(&target.ip()));
            targets.extend(distant.take(burst));
        }
        if over {
            self.rounds = self.rounds.saturating_add(1);
            self.restart_round(self.is_settled(membership));
        }
        let jitter = self.config.jitter;
        let pause = if self.round.settled {
            let steps = u32::try_from(self.near.div_ceil(step.max(1) as u64)).unwrap_or(u32::MAX);
            let pause = self.config.search_settled_round / steps * self.near_share(membership);
            jittered(rng, pause, jitter) + self.config.search_burst_pause
        } else if over {
            jittered(rng, self.config.search_pause(self.rounds), jitter)
        } else {
            self.config.search_burst_pause
        };
        self.near_at = now + pause;
        targets
    }

    /// The other targets to search now.
    pub(super) fn far(
        &mut self,
        now: Duration,
        membership: &Membership,
        rng: &mut StdRng,
    ) -> Vec<SocketAddr> {
        if !self.is_settled(membership) {
            // The near rounds cover those.
            self.sweep.leave_out_before(self.wide);
        }
        let unhurried = !self.sweep.has_only_from(self.wide);
        let targets = self.sweep.take(self.config.search_burst);
        let alone = membership.is_alone();
        let pause = if !targets.is_empty() {
            // A slow sweep is also enough while the near rounds cover the same targets.
            if (self.sweeps > 0 && !alone) || unhurried {
                let share = self.config.search_share(membership.healthy().len());
                self.config.search_far_settled_pause.saturating_mul(share)
            } else {
                self.visits = self.visits.wrapping_add(1);
                self.config.search_far_pause(self.visits)
            }
        } else {
            self.sweep.restart(rng);
            self.sweeps = self.sweeps.saturating_add(1);
            let pause = if alone {
                self.config.search_alone_pause
            } else {
                self.config.search_settled_round
            };
            jittered(rng, pause, self.config.jitter)
        };
        self.far_at = now + pause;
        targets
    }

    /// As [`Config::search_share`], for near targets, which only nodes near them search.
    fn near_share(&self, membership: &Membership) -> u32 {
        let healthy = membership.healthy();
        let near = |address| self.near_addresses.contains(&address);
        let sharing = healthy.iter().filter(|node| near(node.address())).count();
        self.config
            .search_share(healthy.len())
            .min(u32::try_from(sharing).unwrap_or(u32::MAX))
            .max(1)
    }

    /// Searches again soon if the last peer is gone.
    pub(super) fn peer_gone(&mut self, now: Duration, membership: &Membership, rng: &mut StdRng) {
        if !membership.is_alone() || self.rounds == 0 {
            return;
        }
        (self.rounds, self.sweeps) = (0, 0);
        let at = now + jittered(rng, self.config.search_first_pause, self.config.jitter);
        self.restart_round(false);
        self.near_at = at;
        self.far_at = self.far_at.min(at);
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
