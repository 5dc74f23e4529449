//! Join: which of two nodes asks first, and how often peers that are not up are checked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;

use super::config::Config;
use super::event::Failure;
use super::peer::Peer;
use super::timers::jittered;
use crate::mesh::wire::NodeState;
use crate::rtt::RttEstimate;

/// Picks the initiator of a pair, so that each node initiates half of its exchanges.
fn initiates(own: SocketAddr, other: SocketAddr) -> bool {
    let last = |endpoint: SocketAddr| match endpoint.ip() {
        IpAddr::V4(ip) => u32::from(ip.octets()[3]),
        IpAddr::V6(ip) => u32::from(ip.octets()[15]),
    };
    let even = (last(own) + last(other)) % 2 == 0;
    even == (own < other)
}

/// Orders another's node list so that each node first checks those that follow itself, and not all nodes the same one.
pub(super) fn starting_after(own: SocketAddr, mut states: Vec<NodeState>) -> Vec<NodeState> {
    let after = states.iter().position(|state| state.node.endpoint() > own);
    states.rotate_left(after.unwrap_or_default());
    states
}

/// Decides on first exchanges and on their retries.
#[derive(Debug)]
pub(super) struct Join {
    config: Arc<Config>,
    own: SocketAddr,
    /// `inform` answers within the current second, and when that second began.
    informs: u32,
    informs_since: Duration,
}

impl Join {
    pub(super) fn new(config: Arc<Config>, own: SocketAddr) -> Self {
        Self {
            config,
            own,
            informs: 0,
            informs_since: Duration::ZERO,
        }
    }

    /// Wait for a new peer, which has sent a datagram, to ask first. In a large mesh one exchange per pair is enough;
    /// the other node asks only if none comes.
    pub(super) fn wait_to_be_asked(
        &self,
        peer: SocketAddr,
        large: bool,
        rtt: &RttEstimate,
    ) -> Option<Duration> {
        let waits = large && !initiates(self.own, peer);
        waits.then(|| rtt.timeout(self.config.join_wait))
    }

    /// Whether to ask a gossiping peer back that has just sent its list with its request for ours.
    ///
    /// If it asks again, our answer was lost or late, and our own request may get through. In a small mesh a request
    /// also opens the connection whose end reports a crash at once.
    pub(super) fn asks_back(&self, joined: bool, large: bool, rtt: &RttEstimate) -> bool {
        let asks_again = !joined && rtt.is_within(self.config.join_timeout);
        asks_again || !large
    }

    /// Pause after a failed check of a peer that is not up, before the next.
    pub(super) fn retry_pause(
        &self,
        peer: &Peer,
        failure: Failure,
        quick: bool,
        rng: &mut StdRng,
    ) -> Duration {
        let gives_up = peer.gossips() && peer.is_down() && peer.retries() > self.config.join_max_checks;
        if gives_up {
            // Probes notice when it is back.
            return self.config.check_interval_probed;
        }
        // A lost packet needs no pause if the peer is known to be alive and others answer in time.
        let lost = peer.gossips() && failure == Failure::Timeout && quick;
        let doublings = if lost { 0 } else { peer.retries().saturating_sub(1) };
        jittered(rng, self.config.join_pause(doublings), self.config.jitter)
    }

    /// Pause before the next check of a peer that has just gone down and does not gossip.
    pub(super) fn first_pause(&self, rng: &mut StdRng) -> Duration {
        jittered(rng, self.config.join_first_pause, self.config.jitter)
    }

    /// Whether one more `inform` may be sent within this second.
    pub(super) fn may_inform(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.informs_since) >= Duration::from_secs(1) {
            (self.informs, self.informs_since) = (0, now);
        }
        let may = self.informs < self.config.informs_per_second;
        self.informs += u32::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::peer::PeerEvent;
    use super::*;
    use crate::mesh::wire::Node;

    const SECOND: Duration = Duration::from_secs(1);

    fn node(host: u8) -> Node {
        Node::new("node", IpAddr::from([10, 0, 0, host]), 31000, 31000).unwrap()
    }

    fn join() -> Join {
        Join::new(Arc::default(), node(1).endpoint())
    }

    #[test]
    fn exactly_one_node_of_a_pair_initiates_and_each_node_half_of_its_pairs() {
        for one in 1..=20 {
            let mine = (1..=20).filter(|other| {
                let (one, other) = (node(one).endpoint(), node(*other).endpoint());
                assert!(one == other || initiates(one, other) != initiates(other, one));
                one != other && initiates(one, other)
            });
            assert!((9..=10).contains(&mine.count()));
        }
    }

    #[test]
    fn only_the_node_that_does_not_initiate_waits_to_be_asked_in_a_large_mesh() {
        let rtt = RttEstimate::new(Config::default().rtt());
        let waits = |host: u8, large| join().wait_to_be_asked(node(host).endpoint(), large, &rtt);
        assert_eq!(waits(3, true), None);
        assert_eq!(waits(2, true), Some(Duration::from_millis(400)));
        assert_eq!(waits(2, false), None);
    }

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let (join, mut rng) = (join(), StdRng::seed_from_u64(1));
        let mut peer = Peer::new(node(2), Duration::ZERO, false);
        for expected in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            peer.apply(Duration::ZERO, PeerEvent::CheckFailed, &Config::default());
            let pause = join.retry_pause(&peer, Failure::Refused, true, &mut rng);
            let expected = Duration::from_millis(expected);
            assert!(
                pause >= expected.mul_f64(0.9) && pause <= expected.mul_f64(1.1),
                "{pause:?}"
            );
        }
    }

    #[test]
    fn a_gossiping_peer_that_is_down_is_left_to_probes_after_five_checks() {
        let (join, mut rng) = (join(), StdRng::seed_from_u64(1));
        let mut peer = Peer::new(node(2), Duration::ZERO, false);
        let config = Config::default();
        peer.apply(Duration::ZERO, PeerEvent::GossipSeen, &config);
        peer.apply(Duration::ZERO, PeerEvent::Verified, &config);
        while !peer.is_down() {
            peer.apply(Duration::ZERO, PeerEvent::ProbeDue, &config);
        }
        for _ in 0..5 {
            peer.apply(Duration::ZERO, PeerEvent::CheckFailed, &config);
            assert!(join.retry_pause(&peer, Failure::Timeout, true, &mut rng) < SECOND);
        }
        peer.apply(Duration::ZERO, PeerEvent::CheckFailed, &config);
        assert!(join.retry_pause(&peer, Failure::Timeout, true, &mut rng) > 3_600 * SECOND);
    }

    #[test]
    fn informs_are_limited_per_second() {
        let mut join = join();
        let informs = |join: &mut Join, at| (0..300).filter(|_| join.may_inform(at)).count();
        assert_eq!(informs(&mut join, Duration::ZERO), 256);
        assert_eq!(informs(&mut join, SECOND), 256);
    }

    #[test]
    fn a_node_checks_those_after_itself_first() {
        let states = (1..=4).map(|host| NodeState {
            node: node(host),
            healthy: true,
        });
        let ordered = starting_after(node(2).endpoint(), states.collect());
        let nodes: Vec<Node> = ordered.into_iter().map(|state| state.node).collect();
        assert_eq!(nodes, [node(3), node(4), node(1), node(2)]);
    }
}
