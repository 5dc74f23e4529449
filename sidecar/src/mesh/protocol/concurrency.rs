//! Concurrency of exchanges: how many run at once, and which peer is next.
//!
//! Each exchange belongs to a lane. Exchanges wait only for others of the same lane.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::config::Config;
use super::peer::Source;

/// The purpose of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Checks of peers that are up, and all exchanges with peers that are not probed.
    Check,
    /// Lists and changes, with peers that are up and probed.
    Sync,
    /// First exchanges with peers that are not up, by the source of the news of them.
    Join(Source),
}

/// The exchanges of one lane.
#[derive(Debug, Default)]
struct Queue {
    busy: usize,
    /// Waiting peers, by ticket.
    waiting: BTreeMap<u64, SocketAddr>,
}

/// A concurrency limit that follows what the peers can bear. It shrinks when answers are late: if all nodes of a busy
/// machine ask all others, only fewer exchanges help.
#[derive(Debug)]
struct AdaptiveLimit {
    now: usize,
    least: usize,
    most: usize,
}

impl AdaptiveLimit {
    /// Adapts the limit to the end of an exchange. It grows if more than two of three answers are in
    /// time.
    fn ended(&mut self, in_time: bool) {
        let limit = if in_time {
            self.now.saturating_add(1)
        } else {
            self.now.saturating_sub(2)
        };
        self.now = limit.clamp(self.least, self.most);
    }
}

/// The exchanges under way, and the peers that wait for one.
#[derive(Debug)]
pub(super) struct Concurrency {
    config: Arc<Config>,
    /// Peers with an exchange under way.
    busy: BTreeMap<SocketAddr, Lane>,
    /// Waiting peers, with their tickets.
    waiting: BTreeMap<SocketAddr, (Lane, u64)>,
    tickets: u64,
    checks: Queue,
    syncs: Queue,
    direct: Queue,
    relayed: Queue,
    sync_limit: AdaptiveLimit,
    join_limit: AdaptiveLimit,
}

impl Concurrency {
    pub(super) fn new(config: Arc<Config>) -> Self {
        let limit = |now, most| AdaptiveLimit {
            now,
            least: config.min_concurrency,
            most,
        };
        Self {
            busy: BTreeMap::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            checks: Queue::default(),
            syncs: Queue::default(),
            direct: Queue::default(),
            relayed: Queue::default(),
            sync_limit: limit(
                config.max_exchanges_beside_checks,
                config.max_exchanges_beside_checks,
            ),
            join_limit: limit(config.initial_joins, config.max_joins),
            config,
        }
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue {
        match lane {
            Lane::Check => &mut self.checks,
            Lane::Sync => &mut self.syncs,
            Lane::Join(Source::Direct) => &mut self.direct,
            Lane::Join(Source::Relayed) => &mut self.relayed,
        }
    }

    fn has_room(&self, lane: Lane) -> bool {
        let joins = self.direct.busy + self.relayed.busy;
        let beside_checks = self.syncs.busy + joins < self.config.max_exchanges_beside_checks;
        // Each source keeps at least one slot: relayed nodes can be invented, and datagrams forged.
        let join = |queue: &Queue| joins < self.join_limit.now || queue.busy == 0;
        let has_room = match lane {
            Lane::Check => true,
            Lane::Sync => beside_checks && self.syncs.busy < self.sync_limit.now,
            Lane::Join(Source::Direct) => beside_checks && join(&self.direct),
            Lane::Join(Source::Relayed) => beside_checks && join(&self.relayed),
        };
        has_room && self.busy.len() < self.config.max_exchanges
    }

    /// Takes a slot for an exchange with a peer, or queues the peer for one.
    pub(super) fn acquire(&mut self, peer: SocketAddr, lane: Lane) -> bool {
        if self.busy.contains_key(&peer) {
            // It gets its turn when that exchange ends.
            return false;
        }
        let waiting = self.waiting.remove(&peer);
        if let Some((before, ticket)) = waiting {
            self.queue(before).waiting.remove(&ticket);
        }
        if self.has_room(lane) {
            self.queue(lane).busy += 1;
            self.busy.insert(peer, lane);
            return true;
        }
        // A peer that changes lanes keeps its ticket.
        let ticket = waiting.map_or(self.tickets, |(_, ticket)| ticket);
        self.tickets += u64::from(waiting.is_none());
        self.waiting.insert(peer, (lane, ticket));
        self.queue(lane).waiting.insert(ticket, peer);
        false
    }

    /// Releases the slot of an exchange.
    pub(super) fn release(&mut self, peer: SocketAddr) {
        if let Some(lane) = self.busy.remove(&peer) {
            self.queue(lane).busy -= 1;
        }
    }

    /// As [`Self::release`]; also adapts the lane's limit to whether the answer was in time.
    pub(super) fn release_and_adapt(&mut self, peer: SocketAddr, in_time: bool) {
        match self.busy.get(&peer) {
            Some(Lane::Sync) => self.sync_limit.ended(in_time),
            Some(Lane::Join(_)) => self.join_limit.ended(in_time),
            Some(Lane::Check) | None => {}
        }
        self.release(peer);
    }

    /// Whether most answers are in time.
    pub(super) fn is_quick(&self) -> bool {
        self.join_limit.now >= self.config.initial_joins
    }

    /// Whether peers are being joined, or wait to be.
    pub(super) fn is_joining(&self) -> bool {
        let queues = [&self.direct, &self.relayed];
        queues
            .iter()
            .any(|queue| queue.busy > 0 || !queue.waiting.is_empty())
    }

    /// Takes the next waiting peer that has a slot.
    pub(super) fn next_waiting(&mut self) -> Option<SocketAddr> {
        // Of the joins, those of the source with fewer of them under way.
        let joins = if self.direct.busy <= self.relayed.busy {
            [Source::Direct, Source::Relayed]
        } else {
            [Source::Relayed, Source::Direct]
        };
        let lanes = [Lane::Check, Lane::Sync];
        let mut lanes = lanes.into_iter().chain(joins.map(Lane::Join));
        let next = lanes.find_map(|lane| {
            let has_room = self.has_room(lane);
            let waiting = &mut self.queue(lane).waiting;
            has_room.then(|| waiting.pop_first()).flatten()
        });
        let (_, peer) = next?;
        self.waiting.remove(&peer);
        Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 31000))
    }

    fn acquired(concurrency: &mut Concurrency, hosts: std::ops::Range<u8>, lane: Lane) -> usize {
        hosts
            .filter(|host| concurrency.acquire(peer(*host), lane))
            .count()
    }

    #[test]
    fn joins_start_at_the_initial_limit_and_leave_room_for_checks_and_the_other_source() {
        let mut concurrency = Concurrency::new(Arc::default());
        let relayed = Lane::Join(Source::Relayed);
        assert_eq!(acquired(&mut concurrency, 0..20, relayed), 8);
        let direct = Lane::Join(Source::Direct);
        assert_eq!(acquired(&mut concurrency, 20..40, direct), 1);
        assert_eq!(acquired(&mut concurrency, 40..60, Lane::Check), 20);
    }

    #[test]
    fn the_limit_grows_with_answers_in_time_and_shrinks_twice_as_fast() {
        let mut concurrency = Concurrency::new(Arc::default());
        let lane = Lane::Join(Source::Direct);
        for in_time in [true, true, true, false] {
            concurrency.acquire(peer(1), lane);
            concurrency.release_and_adapt(peer(1), in_time);
        }
        assert!(concurrency.is_quick());
        assert_eq!(acquired(&mut concurrency, 1..100, lane), 9);
        for host in 1..10 {
            concurrency.release_and_adapt(peer(host), false);
        }
        assert!(!concurrency.is_quick());
        assert_eq!(acquired(&mut concurrency, 100..200, lane), 4);
    }

    #[test]
    fn waiting_peers_are_next_in_their_order_and_checks_come_first() {
        let config = Config {
            max_exchanges: 2,
            ..Config::default()
        };
        let mut concurrency = Concurrency::new(config.into());
        assert_eq!(acquired(&mut concurrency, 0..4, Lane::Sync), 2);
        assert_eq!(acquired(&mut concurrency, 4..5, Lane::Check), 0);
        assert_eq!(concurrency.next_waiting(), None);
        concurrency.release(peer(0));
        assert_eq!(concurrency.next_waiting(), Some(peer(4)));
        assert_eq!(concurrency.next_waiting(), Some(peer(2)));
    }
}
