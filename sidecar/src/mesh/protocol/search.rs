//! Searching: which places of the network are visited, in which order and at what pace.
//!
//! Near addresses are visited at once and often, because neighbours are near: container networks number
//! from the start. A node that is settled visits them one after the other. All others are swept steadily and slowly
//! (see [`super::sweep`]), because every address that does not answer holds an entry of the kernel's neighbour table for
//! seconds, and all containers of a machine share it.
//! Loopback resolves no addresses: there all are visited at once, until the node is settled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use rand::rngs::StdRng;

use super::sweep::Sweep;
use super::{Protocol, Timer};
use crate::mesh::config::Config;
use crate::mesh::wire::DatagramKind;

/// So many addresses are visited at once on loopback.
const AT_ONCE_ON_LOOPBACK: u64 = 256;
/// So many rounds of the near addresses there are always, and soon: the first one's datagrams may be lost.
const ROUNDS_AT_LEAST: u32 = 2;

/// The places (address and port) of the search network, which the `discovery.search.` settings span, nearest first.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    own: SocketAddr,
    first: u128,
    addresses: u64,
    /// How many addresses come before our own.
    before: u64,
    min_port: u16,
    ports: u64,
}

impl Search {
    /// The search of a node that listens for datagrams at `own`.
    pub fn new(own: SocketAddr, config: &Config) -> Self {
        let (bits, address) = match own.ip() {
            IpAddr::V4(ip) => (32, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (128, ip.to_bits()),
        };
        let host_bits = u32::from(bits - config.search_mask.min(bits)).min(20);
        let size = 1_u64 << host_bits;
        // All of them, the first and the last too: where the mask is not the network's own, they are hosts.
        // A datagram to what is a broadcast address after all is not sent by the kernel.
        let first = address & !(u128::from(size) - 1);
        // Less than `size`.
        let before = (address - first) as u64;
        let ports = config
            .search_max_udp_port
            .saturating_sub(config.search_min_udp_port);
        Self {
            own,
            first,
            addresses: size,
            before,
            min_port: config.search_min_udp_port,
            ports: u64::from(ports) + 1,
        }
    }

    /// Rounds over the nearest addresses, our own (for its other ports) and so many more; and the sweep of the rest.
    pub(super) fn split(&self, nearest: usize, rng: &mut StdRng) -> (Near, Sweep) {
        let nearest = u64::try_from(nearest).unwrap_or(u64::MAX);
        let at_once = if self.own.ip().is_loopback() {
            nearest.max(AT_ONCE_ON_LOOPBACK)
        } else {
            nearest
        };
        let places = |addresses: u64| addresses.saturating_add(1).min(self.addresses) * self.ports;
        let (settled, wide) = (places(nearest), places(at_once));
        let all = self.addresses * self.ports;
        let ranks = 0..settled / self.ports;
        let addresses = ranks.map(|rank| self.address(rank));
        let first = addresses.clone().min().unwrap_or(self.own.ip());
        let last = addresses.max().unwrap_or(self.own.ip());
        let near = Near {
            round: Round::new(*self, 0..wide),
            evenly: false,
            wide,
            settled,
            settled_addresses: first..=last,
        };
        (near, Sweep::new(*self, settled..all, rng))
    }

    /// The address that so many others are nearer than: one above and one below our own in turn, then
    /// those of the side that is left.
    fn address(&self, rank: u64) -> IpAddr {
        let after = self.addresses - 1 - self.before;
        let both = self.before.min(after);
        let (distance, above) = if rank <= 2 * both {
            (rank.div_ceil(2), rank % 2 == 1)
        } else {
            (rank - both, after > both)
        };
        let index = if above {
            self.before + distance
        } else {
            self.before - distance
        };
        let address = self.first + u128::from(index);
        match self.own {
            SocketAddr::V4(_) => Ipv4Addr::from_bits(address as u32).into(),
            SocketAddr::V6(_) => Ipv6Addr::from_bits(address).into(),
        }
    }

    /// How many places each address has.
    pub(super) fn ports(&self) -> u64 {
        self.ports
    }

    /// How many places are visited at a time: those of one address, or at most so many.
    pub(super) fn ports_at_once(&self, most: usize) -> usize {
        usize::try_from(self.ports).unwrap_or(usize::MAX).min(most)
    }

    /// All ports of one address after the other; none where we are ourselves.
    pub(super) fn place(&self, number: u64) -> Option<SocketAddr> {
        let port = self.min_port + (number % self.ports) as u16;
        let place = SocketAddr::new(self.address(number / self.ports), port);
        (place != self.own).then_some(place)
    }
}

/// One visit of the near places after the other; over, it can start again.
#[derive(Debug)]
struct Round {
    search: Search,
    places: Range<u64>,
    left: Range<u64>,
}

impl Round {
    fn new(search: Search, places: Range<u64>) -> Self {
        Self {
            search,
            left: places.clone(),
            places,
        }
    }

    fn restart(&mut self) {
        self.left = self.places.clone();
    }

    /// The next places, at most so many; none once the round is over.
    fn take(&mut self, count: usize) -> Vec<SocketAddr> {
        let Self { search, left, .. } = self;
        left.filter_map(|number| search.place(number))
            .take(count)
            .collect()
    }
}

/// The rounds of the near places.
#[derive(Debug)]
pub(super) struct Near {
    round: Round,
    /// The round was begun by a node that was settled.
    evenly: bool,
    /// How far the rounds of a node go that is not settled.
    wide: u64,
    /// How far those of one that is.
    settled: u64,
    /// The addresses of those, which have no gap.
    settled_addresses: RangeInclusive<IpAddr>,
}

impl Near {
    /// The rounds of a node that is not settled go to more places than those of one that is.
    pub(super) fn goes_beyond(&self) -> bool {
        self.wide > self.settled
    }

    /// How many places a settled node visits at a time, at most so many.
    fn step(&self, most: usize) -> usize {
        self.round.search.ports_at_once(most)
    }

    /// In how many steps of so many places it goes round.
    fn steps(&self, places: usize) -> u32 {
        let steps = self.settled.div_ceil(places.max(1) as u64);
        u32::try_from(steps).unwrap_or(u32::MAX)
    }

    fn restart(&mut self, settled: bool) {
        self.evenly = settled;
        self.round.places = 0..if settled { self.settled } else { self.wide };
        self.round.restart();
    }
}

impl Protocol {
    /// Visits the next places near us.
    pub(super) fn search_near(&mut self, now: Duration) {
        let burst = self.timing.search_burst;
        // As many as one address has, where the round was begun by a settled node.
        let step = self.near.step(burst);
        let places = self.near.round.take(if self.near.evenly { step } else { burst });
        let over = places.is_empty();
        self.search_at(places);
        if over {
            self.rounds = self.rounds.saturating_add(1);
            self.near.restart(self.is_settled());
        }
        let pause = if self.near.evenly {
            let pause = self.timing.search_settled / self.near.steps(step) * self.near_share();
            self.about(pause) + self.timing.search_pause
        } else if over {
            let doublings = self.rounds.saturating_sub(1).min(16);
            self.about((self.timing.search_first * (1 << doublings)).min(self.timing.search_alone))
        } else {
            self.timing.search_pause
        };
        self.timers.set(Timer::SearchNear, now + pause);
    }

    fn is_settled(&self) -> bool {
        self.rounds >= ROUNDS_AT_LEAST && !self.membership.is_alone()
    }

    /// Visits the next address that is not near us.
    pub(super) fn search_far(&mut self, now: Duration) {
        let wide = self.near.wide;
        if !self.is_settled() {
            // The near rounds go there.
            self.far.leave_out_before(wide);
        }
        let hurry = self.far.has_only_from(wide);
        let places = self.far.take(self.timing.search_burst);
        let over = places.is_empty();
        self.search_at(places);
        let pause = if !over {
            let settled = self.sweeps > 0 && !self.membership.is_alone();
            // Where the near rounds go there, too, until the node is settled, there is no hurry.
            if settled || !hurry {
                self.timing.search_settled_pause.saturating_mul(self.share())
            } else {
                self.timing.search_far_pause
            }
        } else {
            self.far.restart(&mut self.rng);
            self.sweeps = self.sweeps.saturating_add(1);
            let pause = if self.membership.is_alone() {
                self.timing.search_alone
            } else {
                self.timing.search_settled
            };
            self.about(pause)
        };
        self.timers.set(Timer::SearchFar, now + pause);
    }

    /// So many times as long are a settled node's pauses in a large mesh: all together then visit as much as a few would.
    fn share(&self) -> u32 {
        let (up, few) = (
            self.membership.healthy().len(),
            self.timing.kept_connections.max(1),
        );
        u32::try_from(up / few).unwrap_or(u32::MAX).max(1)
    }

    /// The same for places near us, which those visit that are near us, too.
    fn near_share(&self) -> u32 {
        let near = &self.near.settled_addresses;
        let up = self.membership.healthy().iter();
        let sharing = up.filter(|node| near.contains(&node.address())).count();
        self.share()
            .min(u32::try_from(sharing).unwrap_or(u32::MAX))
            .max(1)
    }

    fn search_at(&mut self, places: Vec<SocketAddr>) {
        let hash = self.hash();
        for place in places {
            self.send(place, DatagramKind::Search, hash.clone());
        }
    }

    /// Searches again soon where the last neighbour is gone.
    pub(super) fn search_if_alone(&mut self, now: Duration) {
        if !self.membership.is_alone() || self.rounds == 0 {
            return;
        }
        (self.rounds, self.sweeps) = (0, 0);
        let at = now + self.about(self.timing.search_first);
        self.near.restart(false);
        self.timers.set(Timer::SearchNear, at);
        self.timers.bring_forward(Timer::SearchFar, at);
    }
}
