//! Probes: when each gossiping peer is probed, and what follows a probe that is not answered.
//!
//! [`super::broadcast`] decides which nodes receive what is broadcast, [`super::suspicion`] what they do then, and
//! [`super::config`] has the sum of these times.
//!
//! A probe is a `search` that asks for an `inform`, with [`crate::mesh::wire::Gossip`] in place of the hash. Peers
//! are probed in turn, at a rate that is bounded however large the mesh is. A probe is a sign of life of its sender
//! as well, so a pair needs only one per interval: the lower endpoint probes first, the other only if it does not.
//!
//! | probes sent since it was last heard, this one included | what follows |
//! |---|---|
//! | 1 | another after `probe_timeout`; later if the peer's answers or our own timers are usually late |
//! | 2 and more | another after `probe_retry` |
//! | `probes_until_check` (4) | a check by an exchange, too: its kernel may refuse, or only datagrams are lost |
//! | `probes_until_broadcast` (5; 3 if others suspect it) | a suspicion is broadcast |
//! | `probes_until_down` (6), when the next is due | it is down ([`super::peer`]); probed at `probe_down_interval` |

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;

use super::config::Config;
use super::peer::{Peer, PeerState};
use super::timers::{Timers, jittered, within};
use crate::rtt::RttEstimate;

/// A probe that is scheduled by the interval.
#[derive(Debug, Clone, Copy)]
struct Turn {
    since: Duration,
    /// The interval when it was scheduled.
    interval: Duration,
}

/// How long a peer takes to answer probes.
#[derive(Debug)]
struct Answers {
    rtt: RttEstimate,
    /// When the first of the probes that wait for an answer was sent.
    asked: Duration,
}

/// What to do in addition to sending a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Escalation {
    /// Check the peer by an exchange.
    pub(super) check: bool,
    /// Broadcast that it is suspected.
    pub(super) broadcast: bool,
}

/// The schedule of probes.
#[derive(Debug)]
pub(super) struct Probes {
    config: Arc<Config>,
    own: SocketAddr,
    /// Peers whose next probe is scheduled by the interval, and not for another reason.
    turns: BTreeMap<SocketAddr, Turn>,
    /// How long each peer takes to answer probes.
    answers: BTreeMap<SocketAddr, Answers>,
    timers: Timers<SocketAddr>,
    /// When the peers that are down were last probed because one of them was back.
    recovered: Duration,
}

impl Probes {
    pub(super) fn new(config: Arc<Config>, own: SocketAddr) -> Self {
        Self {
            config,
            own,
            turns: BTreeMap::new(),
            answers: BTreeMap::new(),
            timers: Timers::new(),
            recovered: Duration::ZERO,
        }
    }

    /// The node's own endpoint is another one.
    pub(super) fn readdress(&mut self, own: SocketAddr) {
        self.own = own;
    }

    /// When the next probe is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Takes the next peer whose probe is due.
    pub(super) fn pop(&mut self, now: Duration) -> Option<SocketAddr> {
        self.timers.pop(now)
    }

    /// Whether this node is the one of a pair that probes first, the node with the lower endpoint.
    fn is_first(&self, peer: SocketAddr) -> bool {
        self.own < peer
    }

    /// Schedules the first probe of a peer that has come up, one of `up` peers: at a random moment of an interval; by
    /// the node with the higher endpoint, after that.
    pub(super) fn came_up(&mut self, now: Duration, peer: SocketAddr, up: usize, rng: &mut StdRng) {
        let interval = self.config.probe_interval(up);
        let pause = if self.is_first(peer) {
            within(rng, interval)
        } else {
            self.second_pause(interval)
        };
        self.take_turn(now, peer, interval, pause);
    }

    /// Schedules the next probe of a peer that was heard. `pending`: a probe was waiting for its answer. If none was,
    /// the node with the lower endpoint keeps to its schedule; otherwise peers that are heard at the same time would
    /// always be probed at the same time.
    pub(super) fn heard(
        &mut self,
        now: Duration,
        peer: SocketAddr,
        pending: bool,
        up: usize,
        rng: &mut StdRng,
    ) {
        if let Some(answers) = self.answers.get_mut(&peer).filter(|_| pending) {
            answers.rtt.answered(now.saturating_sub(answers.asked));
        }
        let first = self.is_first(peer);
        if first && !pending {
            return;
        }
        let interval = self.config.probe_interval(up);
        let pause = match (first, self.turns.contains_key(&peer)) {
            (true, true) => {
                let jitter = self.config.probe_jitter_of(interval);
                interval - jitter + within(rng, jitter * 2)
            }
            // Peers that were suspected at the same time must not always be probed at the same time.
            (true, false) => within(rng, interval),
            (false, _) => self.second_pause(interval),
        };
        self.take_turn(now, peer, interval, pause);
    }

    /// Pause of the node with the higher endpoint, which probes only if the other has not.
    fn second_pause(&self, interval: Duration) -> Duration {
        interval + self.config.probe_jitter_of(interval) + self.config.probe_retry
    }

    fn take_turn(&mut self, now: Duration, peer: SocketAddr, interval: Duration, pause: Duration) {
        let since = now;
        self.turns.insert(peer, Turn { since, interval });
        self.timers.set(peer, now + pause);
    }

    /// Whether to send a probe that is due. If the mesh has grown since it was scheduled, the interval is longer now,
    /// and the probe is postponed.
    pub(super) fn is_due(&mut self, now: Duration, peer: &Peer, up: usize) -> bool {
        let interval = self.config.probe_interval(up);
        let endpoint = peer.node.endpoint();
        let turn = self.turns.get_mut(&endpoint).filter(|_| peer.unanswered() == 0);
        if let Some(turn) = turn
            && interval > turn.interval.mul_f64(self.config.probe_stretch)
        {
            let stretch = interval.div_duration_f64(turn.interval) - 1.0;
            let more = now.saturating_sub(turn.since).mul_f64(stretch);
            turn.interval = interval;
            self.timers.set(endpoint, now + more);
            return false;
        }
        true
    }

    /// Schedules what follows if the probe that is being sent is not answered. The first of several has more time if the
    /// peer's answers are usually late, and `slack` on top of that.
    pub(super) fn sent(&mut self, now: Duration, peer: &Peer, slack: Duration) -> Escalation {
        let reported = matches!(peer.state(), PeerState::Suspect { reported: true, .. });
        let (endpoint, unanswered) = (peer.node.endpoint(), peer.unanswered());
        let (pause, until_suspicion) = match (reported, unanswered) {
            (true, _) => (self.config.probe_retry, self.config.probes_until_relay),
            (false, 1) => (self.config.probe_timeout, self.config.probes_until_broadcast),
            (false, _) => (self.config.probe_retry, self.config.probes_until_broadcast),
        };
        let more = if unanswered == 1 {
            let answers = self.answers.entry(endpoint).or_insert_with(|| Answers {
                rtt: RttEstimate::new(self.config.rtt()),
                asked: now,
            });
            answers.asked = now;
            let usual = self.config.probe_timeout;
            answers.rtt.timeout(usual) - usual + slack
        } else {
            Duration::ZERO
        };
        self.timers.set(endpoint, now + pause + more);
        Escalation {
            check: unanswered == self.config.probes_until_check,
            broadcast: unanswered == until_suspicion,
        }
    }

    /// Schedules the next probe of a peer that is down, one of `not_up` peers that are down or unverified.
    pub(super) fn down(&mut self, now: Duration, peer: SocketAddr, not_up: usize, rng: &mut StdRng) {
        let interval = self.config.probe_down_interval(not_up);
        let pause = jittered(rng, interval, self.config.jitter);
        self.timers.set(peer, now + pause);
    }

    /// Schedules a probe of a peer that is down within `probe_recovery`: it may be back.
    pub(super) fn probe_soon(&mut self, now: Duration, peer: SocketAddr, rng: &mut StdRng) {
        let pause = within(rng, self.config.probe_recovery);
        self.timers.set(peer, now + pause);
    }

    /// A peer that was down is back; if a partition has healed, others are, too. Returns whether to probe those
    /// soon.
    pub(super) fn begins_recovery(&mut self, now: Duration) -> bool {
        let begins = now >= self.recovered + self.config.join_max_pause;
        if begins {
            self.recovered = now;
        }
        begins
    }

    /// Schedules a probe of a peer at this time, out of turn.
    pub(super) fn schedule(&mut self, at: Duration, peer: SocketAddr) {
        self.out_of_turn(peer);
        self.timers.set(peer, at);
    }

    /// Notes that the next probe of a peer is not scheduled by the interval: it is suspected, or down.
    pub(super) fn out_of_turn(&mut self, peer: SocketAddr) {
        self.turns.remove(&peer);
    }

    /// Stops probing a peer.
    pub(super) fn stop(&mut self, peer: SocketAddr) {
        self.turns.remove(&peer);
        self.answers.remove(&peer);
        self.timers.cancel(peer);
    }
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
