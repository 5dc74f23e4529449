//! The exchanges planned with one peer, which run one at a time.

use std::sync::Arc;
use std::time::Duration;

use crate::mesh::wire::Node;
use crate::rtt::{RttEstimate, RttTuning};

/// The purpose of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// To check whether the peer is there: `khala.local` if it gossips or, while it is not up, may be asked for its list;
    /// else `khala.hash`.
    Check,
    /// To get its list and give ours.
    Pull,
    /// To announce a change of our list.
    Push,
    /// To get the nodes that it knows and give ours.
    Nodes,
    /// To find out which lists differ.
    Sync,
}

/// What the duration of an exchange is a sample for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// Nothing.
    Nothing,
    /// The RTT estimate of all peers and the concurrency limit.
    All,
    /// The RTT estimate of this peer's checks.
    Checks,
}

/// An exchange under way.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    pub(super) id: u64,
    pub(super) task: Task,
    pub(super) began: Duration,
    /// What its duration is a sample for.
    pub(super) sample: Sample,
    /// The revision of our list that the exchange carries, which the peer has once it answers.
    pub(super) acks: Option<u64>,
    /// Whether it was made to ask the peer if it leaves.
    pub(super) asks_leave: bool,
    /// [`Plan::news`] at the start: if that has changed, the answer may be older than what came since.
    pub(super) news: u64,
}

/// When to make which exchange with a peer.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) in_flight: Option<InFlight>,
    pub(super) check_at: Duration,
    pub(super) pull_at: Option<Duration>,
    pub(super) nodes_at: Option<Duration>,
    pub(super) sync_at: Option<Duration>,
    /// The earliest time to announce changes of our list to it.
    pub(super) push_at: Duration,
    /// The revision of our list that it has acknowledged.
    pub(super) acked: u64,
    /// Number of messages about its list that have come from it.
    pub(super) news: u64,
    /// When its list was last requested.
    pub(super) last_pull: Option<Duration>,
    /// When it was last checked because of a datagram.
    pub(super) hinted: Option<Duration>,
    /// It has answered an exchange.
    pub(super) answered: bool,
    /// The hash in its last datagram.
    pub(super) heard_hash: Option<Arc<str>>,
    /// How long it takes to answer checks, if it does not gossip. Its own estimate, because a peer that is busy for itself
    /// says nothing about the others.
    pub(super) check_rtt: RttEstimate,
    /// Whether it records us, if it does not gossip: an original refuses messages about nodes that it does not record.
    pub(super) records_us: bool,
    /// When to tell it again that we exist, while it does not record us.
    pub(super) introduce_at: Duration,
    /// Its answer to `khala.hash` was not an original's text that can be read: the next check asks for its list.
    pub(super) asks_list: bool,
    /// Its services were read from a text without their weights.
    pub(super) lacks_weights: bool,
    /// Nodes that it does not record.
    pub(super) unrecorded: Vec<Node>,
    /// The answer that comes next carries the header that announces gossip.
    pub(super) header_seen: bool,
}

impl Plan {
    /// A check at once, and no other exchange.
    pub(super) fn new(now: Duration, rtt: RttTuning) -> Self {
        Self {
            in_flight: None,
            check_at: now,
            pull_at: None,
            nodes_at: None,
            sync_at: None,
            push_at: now,
            acked: 0,
            news: 0,
            last_pull: None,
            hinted: None,
            answered: false,
            heard_hash: None,
            check_rtt: RttEstimate::new(rtt),
            records_us: false,
            introduce_at: now,
            asks_list: false,
            lacks_weights: false,
            unrecorded: Vec::new(),
            header_seen: false,
        }
    }

    /// The next task and when it is due. `healthy`: the peer is up, its last check did not fail, and it takes lists;
    /// `behind`: our list has changed since the peer acknowledged it.
    pub(super) fn next(&self, healthy: bool, behind: bool) -> (Duration, Task) {
        let push_at = behind.then_some(self.push_at);
        // Of the tasks that are due at once, the most urgent first.
        let candidates = if healthy {
            [
                (push_at, Task::Push),
                (self.pull_at, Task::Pull),
                (Some(self.check_at), Task::Check),
                (self.sync_at, Task::Sync),
                (self.nodes_at, Task::Nodes),
            ]
        } else {
            let nothing = (None, Task::Nodes);
            [
                (Some(self.check_at), Task::Check),
                (self.nodes_at, Task::Nodes),
                nothing,
                nothing,
                nothing,
            ]
        };
        let planned = candidates.into_iter().filter_map(|(at, task)| Some((at?, task)));
        planned
            .min_by_key(|(at, _)| *at)
            .unwrap_or((self.check_at, Task::Check))
    }

    /// Whether we wait for the peer to make the first exchange.
    pub(super) fn waits_to_be_asked(&self, now: Duration) -> bool {
        self.last_pull.is_none() && self.check_at > now
    }

    /// Plans to ask for its list, at the earliest a pause after the last time.
    pub(super) fn want_pull(&mut self, now: Duration, pause: Duration) {
        let at = self.last_pull.map_or(now, |last| now.max(last + pause));
        self.pull_at = Some(self.pull_at.map_or(at, |planned| planned.min(at)));
    }

    /// Whether to check the peer because of a datagram. If it was done just now, plans it for later.
    pub(super) fn follows_hint(&mut self, now: Duration, pause: Duration) -> bool {
        match self.hinted {
            Some(last) if now < last + pause => {
                self.check_at = self.check_at.min(last + pause);
                false
            }
            _ => {
                self.hinted = Some(now);
                true
            }
        }
    }

    /// Removes a task that begins from the plan.
    pub(super) fn begin(&mut self, task: Task) {
        match task {
            Task::Check => self.asks_list = false,
            Task::Push => {}
            Task::Pull => self.pull_at = None,
            Task::Nodes => self.nodes_at = None,
            Task::Sync => self.sync_at = None,
        }
    }

    /// Puts the announcement of our list before everything that is due. It also asks for the peer's list.
    pub(super) fn announce(&mut self, now: Duration) {
        self.push_at = now;
        self.pull_at = None;
        self.check_at = self.check_at.max(now);
        self.sync_at = self.sync_at.map(|at| at.max(now));
        self.nodes_at = self.nodes_at.map(|at| at.max(now));
    }

    /// Plans a task again that could not be made.
    pub(super) fn repeat(&mut self, task: Task, at: Duration) {
        match task {
            Task::Check => self.check_at = at,
            Task::Push => self.push_at = at,
            Task::Pull => self.pull_at = Some(at),
            Task::Nodes => self.nodes_at = Some(at),
            Task::Sync => self.sync_at = Some(at),
        }
    }

    /// Drops the plan with a peer that has gone down, except the next check.
    pub(super) fn went_down(&mut self) {
        self.last_pull = None;
        (self.records_us, self.lacks_weights) = (false, false);
        self.unrecorded.clear();
        self.pull_at = None;
        self.sync_at = None;
        self.nodes_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn plan() -> Plan {
        Plan::new(SECOND, Config::default().rtt())
    }

    #[test]
    fn the_first_due_is_next_and_a_change_comes_before_others_due_at_once() {
        let mut plan = plan();
        assert_eq!(plan.next(true, false), (SECOND, Task::Check));
        plan.want_pull(SECOND, SECOND);
        assert_eq!(plan.next(true, false), (SECOND, Task::Pull));
        assert_eq!(plan.next(true, true), (SECOND, Task::Push));
        plan.nodes_at = Some(Duration::ZERO);
        assert_eq!(plan.next(true, true), (Duration::ZERO, Task::Nodes));
    }

    #[test]
    fn a_peer_that_is_not_healthy_is_only_checked_and_asked_for_nodes() {
        let mut plan = plan();
        plan.want_pull(Duration::ZERO, SECOND);
        plan.sync_at = Some(Duration::ZERO);
        assert_eq!(plan.next(false, true), (SECOND, Task::Check));
    }

    #[test]
    fn lists_are_asked_for_at_most_once_per_pause() {
        let mut plan = plan();
        plan.last_pull = Some(SECOND);
        plan.want_pull(SECOND, SECOND);
        assert_eq!(plan.pull_at, Some(2 * SECOND));
        plan.want_pull(SECOND * 3 / 2, SECOND);
        assert_eq!(plan.pull_at, Some(2 * SECOND));
    }
}
