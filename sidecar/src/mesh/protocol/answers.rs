//! Routes our own exchanges: makes them when they are due, and handles their ends.

use std::net::SocketAddr;
use std::time::Duration;

use super::anti_entropy::HashResult;
use super::exchange::Blame;
use super::peer::{Peer, PeerEvent, Source, Transition};
use super::plan::{InFlight, Task};
use super::timers::jittered;
use super::{Action, Departure, Failure, Protocol, attempts};
use crate::mesh::directory::Change;
use crate::mesh::wire::{Answer, Node, NodeServices, Recorded, Request};

impl Protocol {
    /// Makes the exchange that is due with a peer, if there is one.
    pub(super) fn exchange_if_due(&mut self, now: Duration, endpoint: SocketAddr) {
        if self.exchanges.is_nodes_due(now, endpoint)
            && !self.is_nodes_wanted(now, endpoint)
            && let Some(plan) = self.exchanges.plan_mut(endpoint)
        {
            plan.nodes_at = None;
        }
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        // Others may have made up a node that has never answered.
        let attempt = peer.is_unverified() && !self.exchanges.has_answered(endpoint);
        let source = peer.source();
        let room = match attempt.then(|| self.attempts.room(now, endpoint.ip(), source)) {
            Some(Ok(room)) => Some(room),
            Some(Err(later)) => return self.exchanges.postpone(endpoint, later),
            None => None,
        };
        let Some(due) = self.exchanges.take_due(now, peer, self.directory.revision()) else {
            return;
        };
        let (mut request, mut acks) = self.request(peer, due.task);
        if let Some(room) = room {
            let mut size = attempts::HEAD + request.body().len();
            if size > room {
                (request, acks) = (Request::Hash(self.own_hash()), None);
                size = attempts::HEAD + request.body().len();
            }
            self.attempts.begin(now, endpoint.ip(), size);
        }
        if due.task == Task::Sync && matches!(request, Request::Local(_)) {
            self.anti_entropy.repaired(now, endpoint);
        }
        let slack = self.local_health.slack();
        let begun = self.exchanges.begin(now, peer, due, &request, acks, slack);
        if let Some((id, timeout)) = begun {
            if due.task == Task::Nodes {
                let known = self.membership.peers().len();
                let joining = self.exchanges.concurrency().is_joining();
                self.anti_entropy.begin_nodes(now, known, joining);
            }
            self.actions.push(Action::Exchange {
                id,
                to: endpoint,
                request,
                timeout,
            });
        }
    }

    /// Whether a peer's node list is still wanted: no other peer was asked since, and its hash still differs.
    fn is_nodes_wanted(&self, now: Duration, endpoint: SocketAddr) -> bool {
        let plan = self.exchanges.plan(endpoint);
        let heard = plan.and_then(|plan| plan.heard_hash.as_ref());
        self.anti_entropy.may_ask_nodes(now, self.membership.is_large())
            && heard != Some(&self.membership.hash())
    }

    /// The request for a task, and the revision of our list that it carries.
    fn request(&self, peer: &Peer, task: Task) -> (Request, Option<u64>) {
        let acked = self
            .exchanges
            .plan(peer.node.endpoint())
            .map_or(0, |plan| plan.acked);
        let change = match task {
            Task::Push => self.directory.change_after(acked),
            _ => None,
        };
        match (task, change) {
            (Task::Check, _) if self.is_checked_by_hash(peer) => {
                // Lists are compared with a peer that is up.
                let hash = if peer.is_up() {
                    self.directory.hash()
                } else {
                    self.own_hash()
                };
                return (Request::Hash(hash), None);
            }
            (Task::Push, Some(Change::Add(change))) => {
                return (Request::Add(change.clone()), Some(acked + 1));
            }
            (Task::Push, Some(Change::Remove(change))) => {
                return (Request::Remove(change.clone()), Some(acked + 1));
            }
            (Task::Nodes, _) => return (Request::Nodes(self.membership.states()), None),
            (Task::Sync, _) => {
                if let Some(mut lists) = self.directory.everything() {
                    let plan = self.exchanges.plan(peer.node.endpoint());
                    let unrecorded = plan.map_or(&[][..], |plan| &plan.unrecorded);
                    lists.retain(|list| !unrecorded.contains(&list.node));
                    return (Request::Sync(lists), None);
                }
                // The lists exceed the size that others read: instead, each node that differs is asked for its own
                // list.
            }
            _ => {}
        }
        (
            Request::Local(self.directory.local()),
            Some(self.directory.revision()),
        )
    }

    pub(super) fn answered(&mut self, now: Duration, id: u64, outcome: Result<Answer, Failure>) {
        let Some(endpoint) = self.exchanges.peer_of(id) else {
            return;
        };
        // A refusal does not show that the peer is busy, and a bad answer may be our own machine's fault.
        let in_time = match outcome {
            Ok(_) => Some(true),
            Err(Failure::Timeout) => Some(false),
            Err(Failure::Refused | Failure::Bad | Failure::Own | Failure::Leaving) => None,
        };
        let no_datagram = self.membership.get(endpoint).is_some_and(Peer::no_datagram);
        if let Some(exchange) = self.exchanges.end(now, id, in_time, no_datagram) {
            if let Some(in_time) = in_time.filter(|_| exchange.task == Task::Nodes) {
                self.anti_entropy.nodes_ended(in_time);
            }
            match outcome {
                Ok(answer) => {
                    self.succeeded(now, endpoint, &exchange, answer);
                    self.leave_answered(now, endpoint, &exchange);
                }
                Err(failure) => {
                    if !self.leave_failed(now, endpoint, &exchange, failure) {
                        self.failed(now, endpoint, &exchange, failure);
                    }
                }
            }
            self.ask_if_claimed(now, endpoint);
            self.report_left_out(endpoint.ip());
        }
        // Waiting peers come first; otherwise a peer with one exchange after another would hold its slot forever.
        while let Some(waiting) = self.exchanges.next_waiting() {
            self.exchange_if_due(now, waiting);
        }
        self.exchange_if_due(now, endpoint);
    }

    /// A peer that closes its kept connection may have crashed: checks it at once.
    pub(super) fn disconnected(&mut self, now: Duration, endpoint: SocketAddr) {
        let up = self.membership.is_up_at(endpoint);
        if let Some(plan) = self.exchanges.plan_mut(endpoint).filter(|_| up) {
            plan.check_at = plan.check_at.min(now);
        }
        self.exchange_if_due(now, endpoint);
    }

    /// A peer whose answer comes next has sent the header that announces gossip.
    pub(super) fn gossip_announced(&mut self, now: Duration, endpoint: SocketAddr) {
        self.gossip_seen(now, endpoint);
        if let Some(plan) = self.exchanges.plan_mut(endpoint) {
            plan.header_seen = true;
        }
    }

    /// An answer without that header comes from a different program than before.
    fn expect_header(&mut self, now: Duration, endpoint: SocketAddr) {
        let Some(plan) = self.exchanges.plan_mut(endpoint) else {
            return;
        };
        let seen = std::mem::take(&mut plan.header_seen);
        if !seen && self.membership.gossips(endpoint) {
            self.membership.apply(now, endpoint, PeerEvent::GossipEnded);
            self.probes.stop(endpoint);
        }
    }

    fn succeeded(&mut self, now: Duration, endpoint: SocketAddr, exchange: &InFlight, answer: Answer) {
        self.expect_header(now, endpoint);
        self.note_answer(now, endpoint);
        match answer {
            Answer::Local(list) => return self.heard_list(now, endpoint, exchange, list),
            Answer::Nodes(states) => self.hear_states(now, endpoint.ip(), states),
            Answer::Diff(nodes) => self.repair(now, endpoint, &nodes),
            Answer::Hash(hash) if !self.membership.is_up_at(endpoint) => {
                return self.introduced(now, endpoint, &hash);
            }
            // It has joined in the meantime, and digests are compared.
            Answer::Hash(_) if self.membership.gossips(endpoint) => {}
            Answer::Hash(hash) => {
                let same = self.note_hash(now, endpoint, &hash);
                self.compare_hash(now, endpoint, same);
            }
            Answer::Done => {}
        }
        // Any answer proves that a program is there, but only a list proves that it is this node.
        let next_check = self.next_check(now, endpoint);
        let up = self.membership.is_up_at(endpoint);
        let Some(plan) = self.exchanges.plan_mut(endpoint) else {
            return;
        };
        plan.acked = exchange.acks.unwrap_or(plan.acked);
        if up {
            plan.check_at = next_check;
            self.verified(now, endpoint);
            self.heard_from(now, endpoint);
        }
    }

    /// Notes that a node has answered at this endpoint.
    fn note_answer(&mut self, now: Duration, endpoint: SocketAddr) {
        if let Some(plan) = self.exchanges.plan_mut(endpoint).filter(|plan| !plan.answered) {
            plan.answered = true;
            self.attempts.answered(now, endpoint.ip());
        }
    }

    /// The time of a peer's next check by an exchange.
    pub(super) fn next_check(&mut self, now: Duration, endpoint: SocketAddr) -> Duration {
        let interval = self.config.check_interval_of(self.membership.gossips(endpoint));
        now + jittered(&mut self.rng, interval, self.config.jitter)
    }

    fn heard_list(&mut self, now: Duration, endpoint: SocketAddr, exchange: &InFlight, list: NodeServices) {
        let NodeServices { node, khala_nodes } = list;
        let next_check = self.next_check(now, endpoint);
        let (Some(peer), Some(plan)) = (self.membership.get(endpoint), self.exchanges.plan_mut(endpoint))
        else {
            return;
        };
        if peer.node != node {
            return self.answered_by_another(now, endpoint, &node);
        }
        plan.acked = exchange.acks.unwrap_or(plan.acked);
        plan.check_at = next_check;
        // What the peer has sent since we asked may be newer than the answer.
        let stale = plan.news != exchange.news && self.directory.services(&node) != Some(&khala_nodes);
        if stale {
            plan.pull_at = Some(now);
        }
        let gossips = peer.gossips();
        let joined = self.verified(now, endpoint);
        if joined && gossips {
            self.begin_probes(now, endpoint);
        } else {
            self.heard_from(now, endpoint);
        }
        if joined && !gossips {
            self.introduce(now, endpoint);
        }
        if joined || !stale {
            self.changed |= self.directory.set(&node, khala_nodes);
        }
    }

    /// The program at an endpoint is another node than the one that we took it for.
    pub(super) fn answered_by_another(&mut self, now: Duration, endpoint: SocketAddr, node: &Node) {
        if node.endpoint() == endpoint {
            self.hear(now, node, Source::Direct);
        } else {
            self.forget(now, endpoint, Some(Departure::Replaced));
            self.hear(now, node, Source::Relayed);
        }
    }

    /// Notes what a peer records. Returns whether it has the same services as we have of the nodes that it records.
    ///
    /// Until it records us its own services are read from the text, which has no weights.
    fn note_hash(&mut self, now: Duration, endpoint: SocketAddr, hash: &str) -> bool {
        let same = *hash == *self.directory.hash();
        let Some(peer) = self.membership.get(endpoint).filter(|peer| !peer.gossips()) else {
            return same;
        };
        let Some(recorded) = Recorded::parse(hash, endpoint) else {
            return same;
        };
        if *recorded.by() != peer.node {
            self.answered_by_another(now, endpoint, recorded.by());
            return same;
        }
        let held = self.directory.services(&peer.node).cloned().unwrap_or_default();
        let read = recorded.services(&peer.node, &held).filter(|read| *read != held);
        if let Some(plan) = self.exchanges.plan_mut(endpoint) {
            plan.records_us = recorded.has(self.membership.own());
            plan.unrecorded = self.directory.unrecorded(&recorded);
            if let Some(read) = read.filter(|_| !plan.records_us) {
                self.changed |= self.directory.set(&peer.node, read);
                plan.lacks_weights = true;
            } else if plan.records_us && std::mem::take(&mut plan.lacks_weights) {
                self.exchanges.want_pull(now, endpoint);
            }
        }
        self.introduce(now, endpoint);
        same || self.directory.agrees_with(&recorded)
    }

    fn compare_hash(&mut self, now: Duration, endpoint: SocketAddr, same: bool) {
        match self.anti_entropy.compare_hash(now, endpoint, same) {
            HashResult::Same => {
                if let Some(plan) = self.exchanges.plan_mut(endpoint) {
                    plan.sync_at = None;
                }
            }
            HashResult::Differs => {}
            HashResult::Repair(at) => self.exchanges.want_sync(endpoint, at),
        }
    }

    /// Asks each node whose list differs for it.
    fn repair(&mut self, now: Duration, endpoint: SocketAddr, nodes: &[Node]) {
        self.anti_entropy.repaired(now, endpoint);
        for node in nodes {
            if node == self.membership.own() {
                // The exchange that asks for the peer's list also gives it ours.
                self.exchanges.want_pull(now, endpoint);
            } else if self.membership.is_up(node) {
                self.exchanges.want_pull(now, node.endpoint());
                if node.endpoint() != endpoint {
                    self.exchange_if_due(now, node.endpoint());
                }
            } else {
                self.hear(now, node, Source::Relayed);
            }
        }
    }

    fn failed(&mut self, now: Duration, endpoint: SocketAddr, exchange: &InFlight, failure: Failure) {
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        if failure == Failure::Own && peer.is_unverified() {
            self.attempts.unmade(endpoint.ip());
        }
        let unprobed = peer.unanswered() == 0;
        let verdict = self.exchanges.failed(now, peer, exchange, failure);
        if verdict.repair {
            self.anti_entropy.repair_failed(now, endpoint);
        }
        match verdict.blame {
            Blame::Nobody => {}
            Blame::Probe if unprobed => self.probe_out_of_turn(now, endpoint),
            Blame::Probe => {}
            Blame::Check => self.check_failed(now, endpoint, failure),
        }
    }

    pub(super) fn check_failed(&mut self, now: Duration, endpoint: SocketAddr, failure: Failure) {
        if self.membership.apply(now, endpoint, PeerEvent::CheckFailed) == Transition::WentDown {
            return self.went_down(now, endpoint, failure);
        }
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        if peer.is_up() {
            return self.exchanges.check_again(now, endpoint, failure);
        }
        let quick = self.exchanges.concurrency().is_quick();
        let pause = self.join.retry_pause(peer, failure, quick, &mut self.rng);
        self.exchanges.check_at(endpoint, now + pause);
    }
}
