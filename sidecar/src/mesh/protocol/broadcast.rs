//! Broadcasts of suspicions: which peers are suspected or down, piggybacked on probes and their answers.
//!
//! Each is transmitted [`Config::retransmit_limit`] times.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::config::Config;
use crate::mesh::wire::{Gossip, Node, Report, ReportedState};

#[derive(Debug)]
struct Broadcast {
    /// Transmissions left.
    left: u32,
    state: ReportedState,
}

/// The queue of broadcasts.
#[derive(Debug)]
pub(super) struct Broadcasts {
    config: Arc<Config>,
    queue: BTreeMap<SocketAddr, Broadcast>,
    /// When peers were last picked for immediate sending.
    fanned_out: Duration,
}

impl Broadcasts {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            queue: BTreeMap::new(),
            fanned_out: Duration::ZERO,
        }
    }

    /// Queues that a peer is suspected, unless a broadcast about it is queued already.
    pub(super) fn suspect(&mut self, peer: SocketAddr, nodes: usize) {
        if self.queue.len() < self.config.max_broadcasts {
            let left = self.config.retransmit_limit(nodes);
            self.queue.entry(peer).or_insert(Broadcast {
                left,
                state: ReportedState::Suspect,
            });
        }
    }

    /// Queues that a peer is down. False if that is queued already, or there is no room.
    pub(super) fn down(&mut self, peer: SocketAddr, nodes: usize) -> bool {
        if self.queue.len() >= self.config.max_broadcasts {
            return false;
        }
        let left = self.config.retransmit_limit(nodes);
        let before = self.queue.insert(
            peer,
            Broadcast {
                left,
                state: ReportedState::Down,
            },
        );
        before.is_none_or(|before| before.state != ReportedState::Down)
    }

    /// Drops what is queued for a peer: it is alive, or is forgotten.
    pub(super) fn withdraw(&mut self, peer: SocketAddr) {
        self.queue.remove(&peer);
    }

    /// Nodes to send new broadcasts to at once: `broadcast_fanout` picks; none if many broadcasts are queued and the
    /// last picks were less than `probe_retry` ago.
    pub(super) fn fan_out(
        &mut self,
        now: Duration,
        healthy: &BTreeSet<Node>,
        rng: &mut StdRng,
    ) -> Vec<SocketAddr> {
        let many = self.queue.len() > self.config.broadcast_batch;
        if many && now < self.fanned_out + self.config.probe_retry {
            return Vec::new();
        }
        self.fanned_out = now;
        let healthy: Vec<SocketAddr> = healthy.iter().map(Node::endpoint).collect();
        let picks = 0..self.config.broadcast_fanout;
        picks
            .map(|_| healthy[rng.random_range(0..healthy.len())])
            .collect()
    }

    /// The broadcasts for the next datagram, as many as fit. Those transmitted least come first.
    pub(super) fn take(&mut self) -> Vec<Report> {
        let queue = self.queue.iter();
        let mut all: Vec<(u32, SocketAddr)> =
            queue.map(|(peer, broadcast)| (broadcast.left, *peer)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        let (mut taken, mut room) = (Vec::new(), Gossip::ROOM);
        for (_, endpoint) in all {
            let Some(broadcast) = self.queue.get_mut(&endpoint) else {
                continue;
            };
            let state = broadcast.state;
            let report = Report { endpoint, state };
            let Some(left) = room.checked_sub(report.size()) else {
                break;
            };
            room = left;
            taken.push(report);
            broadcast.left = broadcast.left.saturating_sub(1);
            if broadcast.left == 0 {
                self.queue.remove(&endpoint);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn peer(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 31000))
    }

    #[test]
    fn a_broadcast_ends_after_its_retransmit_limit() {
        let mut broadcasts = Broadcasts::new(Arc::default());
        broadcasts.suspect(peer(1), 8);
        // 4 + 3 * log2(8)
        for _ in 0..13 {
            let (endpoint, state) = (peer(1), ReportedState::Suspect);
            assert_eq!(broadcasts.take(), [Report { endpoint, state }]);
        }
        assert!(broadcasts.take().is_empty());
    }

    #[test]
    fn news_that_a_peer_is_down_replaces_a_suspicion_once() {
        let mut broadcasts = Broadcasts::new(Arc::default());
        broadcasts.suspect(peer(1), 8);
        assert!(broadcasts.down(peer(1), 8));
        assert!(!broadcasts.down(peer(1), 8));
        broadcasts.suspect(peer(1), 8);
        assert_eq!(broadcasts.take()[0].state, ReportedState::Down);
        broadcasts.withdraw(peer(1));
        assert!(broadcasts.take().is_empty());
    }

    #[test]
    fn a_full_datagram_leaves_the_rest_to_the_next() {
        let mut broadcasts = Broadcasts::new(Arc::default());
        for host in 0..40 {
            broadcasts.suspect(peer(host), 8);
        }
        let first = broadcasts.take();
        assert!(first.len() < 40);
        assert!(broadcasts.take().iter().all(|report| !first.contains(report)));
    }

    #[test]
    fn the_queue_is_bounded() {
        let config = Config {
            max_broadcasts: 2,
            ..Config::default()
        };
        let mut broadcasts = Broadcasts::new(config.into());
        for host in 0..3 {
            broadcasts.suspect(peer(host), 8);
        }
        assert!(!broadcasts.down(peer(9), 8));
        assert_eq!(broadcasts.take().len(), 2);
    }

    #[test]
    fn many_broadcasts_fan_out_once_per_retry() {
        let (mut broadcasts, mut rng) = (Broadcasts::new(Arc::default()), StdRng::seed_from_u64(1));
        let node = Node::new("node", peer(1).ip(), 31000, 31000).unwrap();
        let healthy = BTreeSet::from([node]);
        for host in 0..9 {
            broadcasts.suspect(peer(host), 8);
        }
        let second = Duration::from_secs(1);
        assert_eq!(broadcasts.fan_out(second, &healthy, &mut rng).len(), 5);
        assert!(broadcasts.fan_out(second, &healthy, &mut rng).is_empty());
        assert_eq!(broadcasts.fan_out(2 * second, &healthy, &mut rng).len(), 5);
    }
}
