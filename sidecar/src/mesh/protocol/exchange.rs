//! Exchanges: which one is next with each peer, its timeout, and what its failure means.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::concurrency::{Concurrency, Lane};
use super::config::Config;
use super::event::Failure;
use super::peer::Peer;
use super::plan::{InFlight, Plan, Sample, Task};
use super::timers::Timers;
use crate::mesh::wire::Request;
use crate::rtt::RttEstimate;

/// What a failed exchange says about the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// Nothing.
    Nobody,
    /// It gossips and is late: its probes decide.
    Probe,
    /// It has failed a check.
    Check,
}

/// The meaning of a failed exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) blame: Blame,
    /// A repair has failed.
    pub(super) repair: bool,
}

/// An exchange that is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) task: Task,
    pub(super) lane: Lane,
}

/// The plans for all peers, and the exchanges under way.
#[derive(Debug)]
pub(super) struct Exchanges {
    config: Arc<Config>,
    plans: BTreeMap<SocketAddr, Plan>,
    timers: Timers<SocketAddr>,
    concurrency: Concurrency,
    rtt: RttEstimate,
    /// The peers of the exchanges under way.
    peers: BTreeMap<u64, SocketAddr>,
    next_id: u64,
}

impl Exchanges {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            plans: BTreeMap::new(),
            timers: Timers::new(),
            concurrency: Concurrency::new(config.clone()),
            rtt: RttEstimate::new(config.rtt()),
            peers: BTreeMap::new(),
            next_id: 0,
            config,
        }
    }

    pub(super) fn rtt(&self) -> &RttEstimate {
        &self.rtt
    }

    pub(super) fn concurrency(&self) -> &Concurrency {
        &self.concurrency
    }

    /// When the next exchange is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Takes the next peer with which an exchange is due.
    pub(super) fn pop(&mut self, now: Duration) -> Option<SocketAddr> {
        self.timers.pop(now)
    }

    /// Plans the first check of a new peer.
    pub(super) fn add(&mut self, now: Duration, peer: SocketAddr) {
        self.plans.insert(peer, Plan::new(now, self.config.rtt()));
    }

    /// Forgets a peer. An exchange under way keeps its slot until it ends, and its answer is ignored.
    pub(super) fn remove(&mut self, peer: SocketAddr) {
        self.plans.remove(&peer);
        self.timers.cancel(peer);
    }

    pub(super) fn plan(&self, peer: SocketAddr) -> Option<&Plan> {
        self.plans.get(&peer)
    }

    pub(super) fn plan_mut(&mut self, peer: SocketAddr) -> Option<&mut Plan> {
        self.plans.get_mut(&peer)
    }

    /// Plans the next check of a peer.
    pub(super) fn check_at(&mut self, peer: SocketAddr, at: Duration) {
        if let Some(plan) = self.plans.get_mut(&peer) {
            plan.check_at = at;
        }
    }

    /// Plans nothing with a peer before this time.
    pub(super) fn postpone(&mut self, peer: SocketAddr, at: Duration) {
        if let Some(plan) = self.plans.get_mut(&peer) {
            (plan.check_at, plan.nodes_at) = (at, None);
            self.timers.set(peer, at);
        }
    }

    /// Whether a peer has answered an exchange.
    pub(super) fn has_answered(&self, peer: SocketAddr) -> bool {
        self.plans.get(&peer).is_some_and(|plan| plan.answered)
    }

    /// Plans to ask a peer for its list.
    pub(super) fn want_pull(&mut self, now: Duration, peer: SocketAddr) {
        let pause = self.config.repair_pause;
        if let Some(plan) = self.plans.get_mut(&peer) {
            plan.want_pull(now, pause);
        }
    }

    /// Plans to ask a peer for its nodes, if that is not planned yet.
    pub(super) fn want_nodes(&mut self, peer: SocketAddr, at: Duration) {
        if let Some(plan) = self.plans.get_mut(&peer) {
            plan.nodes_at.get_or_insert(at);
        }
    }

    /// Plans to repair the lists with a peer, if that is not planned yet.
    pub(super) fn want_sync(&mut self, peer: SocketAddr, at: Duration) {
        if let Some(plan) = self.plans.get_mut(&peer) {
            plan.sync_at.get_or_insert(at);
        }
    }

    /// Notes that a peer records us, because it has sent us a message about itself.
    pub(super) fn note_recorded(&mut self, peer: SocketAddr) {
        if let Some(plan) = self.plans.get_mut(&peer) {
            plan.records_us = true;
        }
    }

    /// Notes that a message about its list has come from a peer.
    pub(super) fn count_news(&mut self, peer: SocketAddr) {
        if let Some(plan) = self.plans.get_mut(&peer) {
            plan.news += 1;
        }
    }

    /// Whether a peer is to be asked for its nodes now.
    pub(super) fn is_nodes_due(&self, now: Duration, peer: SocketAddr) -> bool {
        let plan = self.plans.get(&peer).filter(|plan| plan.in_flight.is_none());
        plan.is_some_and(|plan| plan.nodes_at.is_some_and(|at| at <= now))
    }

    /// The exchange to make with a peer now, if it is due and has a slot.
    pub(super) fn take_due(&mut self, now: Duration, peer: &Peer, revision: u64) -> Option<Due> {
        let endpoint = peer.node.endpoint();
        let plan = self.plans.get(&endpoint)?;
        if plan.in_flight.is_some() {
            return None;
        }
        // An original asks for our list itself once it records us, and refuses it before.
        let takes_lists = peer.gossips() || plan.records_us;
        let healthy = peer.is_up() && !peer.is_failing();
        let (at, task) = match peer.leave_pending() {
            Some(_) => (plan.check_at, Task::Check),
            None => plan.next(healthy && takes_lists, plan.acked != revision),
        };
        if at > now {
            self.timers.set(endpoint, at);
            return None;
        }
        let lane = if !peer.is_up() {
            Lane::Join(peer.source())
        } else if peer.gossips() && task != Task::Check {
            Lane::Sync
        } else {
            Lane::Check
        };
        if self.concurrency.acquire(endpoint, lane) {
            return Some(Due { task, lane });
        }
        // It is tried again once there is a slot.
        self.timers.cancel(endpoint);
        None
    }

    /// Begins an exchange; returns its id and its timeout. A check that could take the peer down has `slack` more time.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        peer: &Peer,
        Due { task, lane }: Due,
        request: &Request,
        acks: Option<u64>,
        slack: Duration,
    ) -> Option<(u64, Duration)> {
        let endpoint = peer.node.endpoint();
        let plan = self.plans.get_mut(&endpoint)?;
        plan.begin(task);
        if matches!(request, Request::Local(_)) {
            plan.last_pull = Some(now);
        }
        let timeout = match (task, lane) {
            (Task::Check, Lane::Join(_)) => self.config.join_timeout,
            (Task::Check | Task::Pull | Task::Push, _) => self.config.check_timeout,
            (Task::Nodes | Task::Sync, _) => self.config.exchange_timeout,
        };
        let sample = match (lane, task) {
            (Lane::Join(_) | Lane::Sync, _) => Sample::All,
            // Probes decide.
            (Lane::Check, _) if peer.gossips() => Sample::Nothing,
            (Lane::Check, Task::Check | Task::Pull | Task::Push) => Sample::Checks,
            // Long lists take their time, and no peer is lost for them.
            (Lane::Check, Task::Nodes | Task::Sync) => Sample::Nothing,
        };
        let timeout = match sample {
            Sample::All if !peer.no_datagram() => self.rtt.timeout(timeout),
            Sample::Checks => plan.check_rtt.timeout(timeout) + slack,
            Sample::All | Sample::Nothing => timeout,
        };
        let timeout = match peer.leave_pending() {
            Some(since) => (since + self.config.leave_timeout).saturating_sub(now),
            None => timeout,
        };
        self.next_id += 1;
        let id = self.next_id;
        plan.in_flight = Some(InFlight {
            id,
            task,
            began: now,
            asks_leave: peer.leave_pending().is_some(),
            sample,
            acks,
            news: plan.news,
        });
        self.peers.insert(id, endpoint);
        self.timers.cancel(endpoint);
        Some((id, timeout))
    }

    /// The peer of an exchange under way.
    pub(super) fn peer_of(&self, id: u64) -> Option<SocketAddr> {
        self.peers.get(&id).copied()
    }

    /// Ends an exchange. `in_time`: whether it was answered before its timeout; none if it ended otherwise, which
    /// says nothing about how long answers take. `no_datagram`: none has come since the peer was down, so it may still
    /// be gone, which says nothing about that either.
    ///
    /// None if the peer was forgotten in the meantime.
    pub(super) fn end(
        &mut self,
        now: Duration,
        id: u64,
        in_time: Option<bool>,
        no_datagram: bool,
    ) -> Option<InFlight> {
        let peer = self.peers.remove(&id)?;
        let Some(plan) = self.plans.get_mut(&peer) else {
            self.concurrency.release(peer);
            return None;
        };
        let ended = plan.in_flight.take_if(|in_flight| in_flight.id == id);
        let gone = in_time == Some(false) && no_datagram;
        let took = ended
            .as_ref()
            .map_or(Duration::ZERO, |exchange| now.saturating_sub(exchange.began));
        let sample = ended.as_ref().map(|exchange| exchange.sample);
        match (sample, in_time) {
            (Some(Sample::All), Some(in_time)) if !gone => {
                self.concurrency.release_and_adapt(peer, in_time);
                self.rtt.ended(took, in_time);
            }
            (Some(Sample::Checks), Some(in_time)) => {
                self.concurrency.release(peer);
                plan.check_rtt.ended(took, in_time);
            }
            _ => self.concurrency.release(peer),
        }
        ended
    }

    /// Ends all exchanges under way without a result.
    pub(super) fn abandon(&mut self) {
        for peer in std::mem::take(&mut self.peers).into_values() {
            self.concurrency.release(peer);
            if let Some(plan) = self.plans.get_mut(&peer) {
                plan.in_flight = None;
            }
        }
    }

    /// Takes the next waiting peer that has a slot.
    pub(super) fn next_waiting(&mut self) -> Option<SocketAddr> {
        self.concurrency.next_waiting()
    }

    /// Plans what follows a failed exchange, and returns what it means.
    pub(super) fn failed(
        &mut self,
        now: Duration,
        peer: &Peer,
        exchange: &InFlight,
        failure: Failure,
    ) -> Verdict {
        let verdict = |blame| Verdict { blame, repair: false };
        let Some(plan) = self.plans.get_mut(&peer.node.endpoint()) else {
            return verdict(Blame::Nobody);
        };
        if failure == Failure::Own {
            plan.repeat(exchange.task, now + self.config.own_fault_pause);
            return verdict(Blame::Nobody);
        }
        let retry = now + self.config.push_retry;
        if peer.is_up() && peer.gossips() && failure == Failure::Timeout {
            plan.check_at = now + self.config.check_interval_probed;
            match exchange.task {
                Task::Check | Task::Nodes | Task::Sync => {}
                Task::Push => plan.push_at = retry,
                Task::Pull => plan.pull_at = Some(retry),
            }
            return Verdict {
                blame: Blame::Probe,
                repair: exchange.task == Task::Sync,
            };
        }
        match exchange.task {
            Task::Check => {}
            // The peer is alive and refuses this list. Announcing it again would not help; the differing hashes lead
            // to a repair.
            Task::Push | Task::Pull if failure == Failure::Bad => {
                plan.acked = exchange.acks.unwrap_or(plan.acked);
                return verdict(Blame::Nobody);
            }
            Task::Push => plan.push_at = retry,
            Task::Pull => plan.pull_at = Some(retry),
            // Perhaps too much for a slow peer: a check shows whether it is there.
            Task::Nodes | Task::Sync if peer.is_up() => {
                plan.check_at = now;
                return Verdict {
                    blame: Blame::Nobody,
                    repair: true,
                };
            }
            Task::Nodes | Task::Sync => return verdict(Blame::Nobody),
        }
        verdict(Blame::Check)
    }

    /// Plans the next check of a peer that is still up after a failed one.
    pub(super) fn check_again(&mut self, now: Duration, peer: SocketAddr, failure: Failure) {
        let pause = match failure {
            Failure::Timeout => Duration::ZERO,
            Failure::Refused => self.config.check_after_refusal,
            Failure::Bad => self.config.push_retry,
            Failure::Own => self.config.own_fault_pause,
            Failure::Leaving => self.config.join_max_pause,
        };
        self.check_at(peer, now + pause);
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
