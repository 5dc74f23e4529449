//! Anti-entropy: when a difference between two nodes calls for an exchange of all that they know.
//!
//! Gossip carries digests of the nodes that are up and of their lists. With a peer that does not gossip, `khala.hash`
//! compares the lists. Repairs become rarer while they do not help.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::membership::Membership;
use crate::mesh::wire::{Gossip, ReportedState};

/// The latest comparisons of one digest, and when a difference is repaired.
#[derive(Debug, Default)]
struct Digests {
    /// Consecutive mismatches.
    mismatches: u32,
    /// Consecutive matches.
    matches: u32,
    not_before: Duration,
    pause: Duration,
    /// Doublings of the shortest pause, because answers are late.
    doublings: u32,
    /// The last repair helped, or nodes come and go: the next may help.
    helped: bool,
}

impl Digests {
    /// Counts a mismatch; returns whether to repair now. While nodes come and go, each mismatch is repaired at once.
    fn mismatch(&mut self, streak: u32) -> bool {
        self.matches = 0;
        self.mismatches = self.mismatches.saturating_add(1);
        self.helped || self.mismatches >= streak
    }

    /// Counts a match. After several, nodes no longer come and go: the next mismatch is one peer's alone, and its
    /// list would not help.
    fn matched(&mut self, streak: u32) {
        self.mismatches = 0;
        self.matches = self.matches.saturating_add(1);
        self.helped &= self.matches < streak;
    }

    fn is_due(&self, now: Duration) -> bool {
        now >= self.not_before
    }

    /// Begins a repair. The pause before the next one doubles while repairs do not help.
    fn begin(&mut self, now: Duration, shortest: Duration, longest: Duration) {
        let helped = std::mem::take(&mut self.helped);
        let shortest = (shortest * (1 << self.doublings)).min(longest);
        self.pause = if helped {
            shortest
        } else {
            (self.pause * 2).clamp(shortest, longest)
        };
        self.not_before = now + self.pause;
        (self.mismatches, self.matches) = (0, 0);
    }
}

/// Repairs with one peer.
#[derive(Debug)]
struct Repairs {
    /// Consecutive mismatches of `khala.hash`.
    mismatches: u32,
    last: Option<Duration>,
    pause: Duration,
}

/// An exchange that repairs a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// Of the node lists.
    Nodes,
    /// Of all service lists, at this time.
    Lists(Duration),
}

/// The result of `khala.hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashResult {
    /// The lists are equal.
    Same,
    /// They differ; it may be an update in flight.
    Differs,
    /// They differ, and are to be repaired at this time.
    Repair(Duration),
}

/// Decides when differences are repaired.
#[derive(Debug)]
pub(super) struct AntiEntropy {
    config: Arc<Config>,
    nodes: Digests,
    lists: Digests,
    peers: BTreeMap<SocketAddr, Repairs>,
}

impl AntiEntropy {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            nodes: Digests::default(),
            lists: Digests::default(),
            peers: BTreeMap::new(),
        }
    }

    fn repairs(&mut self, peer: SocketAddr) -> &mut Repairs {
        self.peers.entry(peer).or_insert(Repairs {
            mismatches: 0,
            last: None,
            pause: self.config.repair_pause,
        })
    }

    /// Compares the digests in a peer's gossip with ours.
    pub(super) fn compare(
        &mut self,
        now: Duration,
        peer: SocketAddr,
        theirs: &Gossip,
        ours: &Membership,
        lists: u64,
    ) -> Option<Repair> {
        let streak = self.config.anti_entropy_streak;
        if theirs.nodes != ours.digest() {
            let down = theirs
                .reports
                .iter()
                .filter(|report| report.state == ReportedState::Down);
            let without = ours.digest_without(down.map(|report| report.endpoint));
            if theirs.nodes == ours.digest_before_last_down() || theirs.nodes == without {
                // Only nodes that have just gone down differ, and broadcasts report those.
                return None;
            }
            return self.nodes.mismatch(streak).then_some(Repair::Nodes);
        }
        self.nodes.matched(streak);
        if theirs.services == lists {
            self.lists = Digests::default();
            return None;
        }
        if !self.lists.mismatch(streak) || !self.lists.is_due(now) {
            return None;
        }
        let (shortest, longest) = (self.config.repair_pause, self.config.anti_entropy_max_pause);
        self.lists.begin(now, shortest, longest);
        Some(Repair::Lists(self.sync_at(now, peer)))
    }

    /// Whether to ask a peer for its nodes because its hash of them differs. A probed peer needs several mismatches: it
    /// also sends its digests with each probe.
    pub(super) fn hash_differs(&mut self, probed: bool) -> bool {
        !probed || self.nodes.mismatch(self.config.anti_entropy_streak)
    }

    /// Whether a peer may be asked for its nodes; in a large mesh, only after the pause.
    pub(super) fn may_ask_nodes(&self, now: Duration, large: bool) -> bool {
        !large || self.nodes.is_due(now)
    }

    /// Notes that a peer is asked for its nodes.
    pub(super) fn begin_nodes(&mut self, now: Duration, known: usize, joining: bool) {
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        let shortest = self.config.nodes_share * known;
        let longest = if joining {
            // The difference may be peers that are yet to be joined.
            shortest * self.config.anti_entropy_join_factor
        } else {
            self.config.anti_entropy_max_pause
        };
        self.nodes.begin(now, shortest, longest);
    }

    /// Notes the end of an exchange of nodes. If one answer is late others are, too, and asking less often helps.
    pub(super) fn nodes_ended(&mut self, in_time: bool) {
        let doublings = self.nodes.doublings;
        self.nodes.doublings = if in_time {
            doublings.saturating_sub(1)
        } else {
            (doublings + 1).min(self.config.anti_entropy_max_doublings)
        };
    }

    /// Nodes come and go: the next node list may help.
    pub(super) fn nodes_changed(&mut self) {
        self.nodes.helped = true;
    }

    /// A peer has come up. While others are still joining, only they differ, and a node list does not help.
    pub(super) fn came_up(&mut self, peer: SocketAddr, joining: bool) {
        self.nodes.helped |= !joining;
        self.reset(peer);
    }

    /// Handles the result of `khala.hash`.
    pub(super) fn compare_hash(&mut self, now: Duration, peer: SocketAddr, same: bool) -> HashResult {
        if same {
            if let Some(repairs) = self.peers.get_mut(&peer) {
                (repairs.mismatches, repairs.pause) = (0, self.config.repair_pause);
            }
            return HashResult::Same;
        }
        let needed = self.config.hash_mismatches;
        let repairs = self.repairs(peer);
        repairs.mismatches = repairs.mismatches.saturating_add(1);
        if repairs.mismatches < needed {
            return HashResult::Differs;
        }
        HashResult::Repair(self.sync_at(now, peer))
    }

    /// When the lists may next be repaired with a peer.
    fn sync_at(&self, now: Duration, peer: SocketAddr) -> Duration {
        let last = self
            .peers
            .get(&peer)
            .and_then(|repairs| Some(repairs.last? + repairs.pause));
        last.map_or(now, |at| now.max(at))
    }

    /// Notes a repair with a peer: the pause before the next one grows while differences last.
    pub(super) fn repaired(&mut self, now: Duration, peer: SocketAddr) {
        let longest = self.config.repair_max_pause;
        let repairs = self.repairs(peer);
        repairs.last = Some(now);
        repairs.pause = (repairs.pause * 2).min(longest);
    }

    /// Notes that a repair failed.
    pub(super) fn repair_failed(&mut self, now: Duration, peer: SocketAddr) {
        self.repairs(peer).last = Some(now);
    }

    /// Starts counting mismatches with a peer again.
    pub(super) fn reset(&mut self, peer: SocketAddr) {
        if let Some(repairs) = self.peers.get_mut(&peer) {
            repairs.mismatches = 0;
        }
    }

    /// Drops the state of a peer.
    pub(super) fn forget(&mut self, peer: SocketAddr) {
        self.peers.remove(&peer);
    }
}

#[cfg(test)]
#[path = "anti_entropy_tests.rs"]
mod tests;
