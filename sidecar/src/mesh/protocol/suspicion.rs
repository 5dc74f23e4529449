//! Suspicion: which reports of others make this node probe a peer itself.
//!
//! No report takes a peer down: each node decides by its own probes. Nodes that then suspect the peer as well forward
//! the report (see [`super::broadcast`]).

use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::peer::Peer;
use crate::mesh::wire::ReportedState;

/// Weighs reports by how long the peer has been silent here.
#[derive(Debug)]
pub(super) struct Suspicion {
    config: Arc<Config>,
}

impl Suspicion {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self { config }
    }

    /// Whether to probe a peer after a broadcast that it is suspected or down.
    pub(super) fn broadcast_warrants_probe(&self, now: Duration, peer: &Peer, state: ReportedState) -> bool {
        let silence = match state {
            ReportedState::Suspect => self.config.suspicion_silence,
            ReportedState::Down => self.config.probe_timeout,
        };
        is_silent_for(now, peer, silence)
    }

    /// Whether to probe a peer that another's node list reports as down. Such lists are long, and one probe disproves
    /// most of it.
    pub(super) fn list_warrants_probe(&self, now: Duration, peer: &Peer) -> bool {
        is_silent_for(now, peer, self.config.probe_timeout)
    }
}

/// Whether a peer that is up was not heard for longer than this, and is not being probed.
fn is_silent_for(now: Duration, peer: &Peer, silence: Duration) -> bool {
    let silent = peer
        .vitals()
        .is_some_and(|vitals| now.saturating_sub(vitals.last_heard) > silence);
    silent && peer.gossips() && peer.unanswered() == 0
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::peer::PeerEvent;
    use super::*;
    use crate::mesh::wire::Node;

    const SECOND: Duration = Duration::from_secs(1);

    /// A peer last heard at zero.
    fn peer(events: &[PeerEvent]) -> Peer {
        let node = Node::new("peer", IpAddr::from([10, 0, 0, 2]), 31000, 31000).unwrap();
        let mut peer = Peer::new(node, Duration::ZERO, false);
        for event in events {
            peer.apply(Duration::ZERO, *event, &Config::default());
        }
        peer
    }

    #[test]
    fn a_broadcast_counts_after_silence_and_sooner_if_the_peer_is_down() {
        let suspicion = Suspicion::new(Arc::default());
        let peer = peer(&[PeerEvent::Verified, PeerEvent::GossipSeen]);
        assert!(!suspicion.broadcast_warrants_probe(SECOND, &peer, ReportedState::Suspect));
        assert!(suspicion.broadcast_warrants_probe(4 * SECOND, &peer, ReportedState::Suspect));
        assert!(suspicion.broadcast_warrants_probe(SECOND, &peer, ReportedState::Down));
        assert!(suspicion.list_warrants_probe(SECOND, &peer));
        assert!(!suspicion.list_warrants_probe(SECOND / 10, &peer));
    }

    #[test]
    fn peers_that_are_probed_already_or_do_not_gossip_are_left_alone() {
        let suspicion = Suspicion::new(Arc::default());
        let probed = [PeerEvent::Verified, PeerEvent::GossipSeen, PeerEvent::ProbeDue];
        for events in [&probed[..], &[PeerEvent::Verified], &[PeerEvent::GossipSeen]] {
            assert!(!suspicion.broadcast_warrants_probe(9 * SECOND, &peer(events), ReportedState::Down));
        }
    }
}
