//! What the end of an exchange means.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::contact::{Exchange, Task};
use super::gossip::SELDOM;
use super::{Action, Departure, Failure, Protocol};
use crate::mesh::membership::Word;
use crate::mesh::wire::{Answer, Node, NodeServices};

/// How often one of our own kind that was up is asked by itself until its pings are waited for.
const MAX_ATTEMPTS: u32 = 5;

impl Protocol {
    pub(super) fn answered(&mut self, now: Duration, id: u64, outcome: Result<Answer, Failure>) {
        let Some(endpoint) = self.exchanges.remove(&id) else {
            return;
        };
        // Only answers tell how soon answers come: who refuses is no busy program, and a bad end may be our own
        // machine's fault.
        let in_time = match outcome {
            Ok(_) => Some(true),
            Err(Failure::Timeout) => Some(false),
            Err(Failure::Refused | Failure::Bad) => None,
        };
        let contact = self.contacts.get_mut(&endpoint);
        // That one is gone or cut off tells nothing about how soon those answer who are there.
        let gone = in_time == Some(false) && contact.as_ref().is_some_and(|contact| contact.silent);
        // A contact that was forgotten meanwhile has no exchange, or another.
        let ended = contact.and_then(|contact| contact.exchange.take_if(|exchange| exchange.id == id));
        match (&ended, in_time) {
            (Some(exchange), Some(in_time)) if exchange.telling && !gone => {
                self.slots.ended(endpoint, in_time);
                let took = now.saturating_sub(exchange.began);
                if in_time {
                    self.patience.answered(took);
                } else {
                    self.patience.missed(took);
                }
            }
            _ => self.slots.release(endpoint),
        }
        if let Some(exchange) = ended {
            if let Some(in_time) = in_time.filter(|_| exchange.task == Task::Nodes) {
                self.differing_nodes.ended(in_time);
            }
            match outcome {
                Ok(answer) => self.succeeded(now, endpoint, &exchange, answer),
                Err(failure) => self.failed(now, endpoint, &exchange, failure),
            }
        }
        // Those that wait come before it: whoever always has more to be asked would keep its slot for ever.
        while let Some(waiting) = self.slots.next_waiting() {
            self.pursue(now, waiting);
        }
        self.pursue(now, endpoint);
    }

    /// A node that closes its kept connection has died, or will be found well by the check.
    pub(super) fn disconnected(&mut self, now: Duration, endpoint: SocketAddr) {
        let up = self.membership.get(endpoint).is_some_and(|member| member.up);
        if let Some(contact) = self.contacts.get_mut(&endpoint).filter(|_| up) {
            contact.check_at = contact.check_at.min(now);
        }
        self.pursue(now, endpoint);
    }

    fn succeeded(&mut self, now: Duration, endpoint: SocketAddr, exchange: &Exchange, answer: Answer) {
        self.answered_gossiping(endpoint);
        match answer {
            Answer::Local(list) => return self.heard_list(now, endpoint, exchange, list),
            Answer::Nodes(states) => {
                self.hear_states(now, endpoint.ip(), states);
            }
            Answer::Diff(nodes) => self.repair(now, endpoint, &nodes),
            Answer::Hash(hash) => self.compare(now, endpoint, &hash),
            Answer::Done => {}
        }
        // Who answers is alive, but only a list says who it is.
        let next_check = self.next_check(now, endpoint);
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        if let Some(told) = exchange.tells {
            contact.told = told;
        }
        if self.membership.get(endpoint).is_some_and(|member| member.up) {
            self.membership.answered(endpoint);
            contact.check_at = next_check;
            self.ping_again(now, endpoint);
        }
    }

    fn heard_list(&mut self, now: Duration, endpoint: SocketAddr, exchange: &Exchange, list: NodeServices) {
        let NodeServices { node, khala_nodes } = list;
        let next_check = self.next_check(now, endpoint);
        let (Some(member), Some(contact)) = (self.membership.get(endpoint), self.contacts.get_mut(&endpoint))
        else {
            return;
        };
        if member.node != node {
            return self.answered_by_another(now, endpoint, &node);
        }
        contact.told = exchange.tells.unwrap_or(contact.told);
        contact.check_at = next_check;
        contact.attempts = 0;
        let joined = self.membership.answered(endpoint);
        if joined {
            contact.mismatches = 0;
            self.changed = true;
            self.set_expiry(endpoint);
            self.differs_by_one();
        }
        match self.contacts.get(&endpoint) {
            Some(contact) if contact.gossips && joined => self.ping_first(now, endpoint),
            _ => self.ping_again(now, endpoint),
        }
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        // What came from the node since we asked may be newer than the answer.
        let stale = contact.news != exchange.news && self.directory.services(&node) != Some(&khala_nodes);
        if stale {
            contact.pull_at = Some(now);
        }
        if joined || !stale {
            self.changed |= self.directory.set(&node, khala_nodes);
        }
    }

    /// The program at an endpoint is not the node that we took it for.
    fn answered_by_another(&mut self, now: Duration, endpoint: SocketAddr, node: &Node) {
        if node.endpoint() == endpoint {
            self.hear(now, node, Word::Own);
        } else {
            self.forget(now, endpoint, Some(Departure::Replaced));
            self.hear(now, node, Word::Hearsay);
        }
    }

    fn compare(&mut self, now: Duration, endpoint: SocketAddr, theirs: &Arc<str>) {
        let same = **theirs == *self.directory.hash();
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        if same {
            contact.mismatches = 0;
            contact.sync_at = None;
            contact.repair_pause = self.timing.repair_pause;
            return;
        }
        contact.mismatches = contact.mismatches.saturating_add(1);
        // One difference may be a change on its way.
        if contact.mismatches >= 2 {
            contact.want_sync(now);
        }
    }

    /// Asks those whose lists differ for them.
    fn repair(&mut self, now: Duration, endpoint: SocketAddr, nodes: &[Node]) {
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.repaired(now, self.timing.repair_longest);
        }
        for node in nodes {
            // Whoever has our own list wrong is told it by the same exchange that asks for theirs.
            let whom = if node == self.membership.own() {
                endpoint
            } else {
                node.endpoint()
            };
            if node == self.membership.own() || self.membership.is_up(node) {
                if let Some(contact) = self.contacts.get_mut(&whom) {
                    contact.want_pull(now, self.timing.repair_pause);
                }
                if whom != endpoint {
                    self.pursue(now, whom);
                }
            } else {
                self.hear(now, node, Word::Hearsay);
            }
        }
    }

    fn failed(&mut self, now: Duration, endpoint: SocketAddr, exchange: &Exchange, failure: Failure) {
        let (Some(member), Some(contact)) = (self.membership.get(endpoint), self.contacts.get_mut(&endpoint))
        else {
            return;
        };
        let up = member.up;
        if up && contact.gossips && failure == Failure::Timeout {
            return self.unanswered(now, endpoint, exchange);
        }
        let retry = Some(now + self.timing.push_retry);
        match exchange.task {
            Task::Check => {}
            // It lives and will not have it: telling it again would not help, differing hashes will.
            Task::Push | Task::Pull if failure == Failure::Bad => {
                contact.told = exchange.tells.unwrap_or(contact.told);
                return;
            }
            Task::Push => contact.push_at = now + self.timing.push_retry,
            Task::Pull => contact.pull_at = retry,
            // Too much to ask of one that is slow: a check tells whether it is there.
            Task::Nodes | Task::Sync if up => {
                contact.synced = Some(now);
                contact.check_at = now;
                return;
            }
            Task::Nodes | Task::Sync => return,
        }
        let was_up = member.was_up;
        if self.membership.failed(now, endpoint) {
            return self.gone_down(now, endpoint, failure);
        }
        if up {
            contact.check_at = match failure {
                Failure::Timeout => now,
                Failure::Refused => now + self.timing.check_after_refusal,
                Failure::Bad => now + self.timing.push_retry,
            };
        } else {
            // What got lost needs no pause, where the node is known to live and others answer in time.
            let lost = contact.gossips && failure == Failure::Timeout && self.slots.is_quick();
            let doublings = if lost { 0 } else { contact.attempts.min(16) };
            contact.attempts += 1;
            contact.spoke = false;
            let pause = (self.timing.join_first * (1 << doublings)).min(self.timing.join_longest);
            let gives_up = contact.gossips && was_up && contact.attempts > MAX_ATTEMPTS;
            // A ping tells when it is there again.
            let pause = if gives_up { SELDOM } else { self.about(pause) };
            if let Some(contact) = self.contacts.get_mut(&endpoint) {
                contact.check_at = now + pause;
            }
            self.set_expiry(endpoint);
        }
    }

    /// An exchange with a node that gossips took too long. Whether it is there its pings tell; what it was to
    /// be told it is told again.
    fn unanswered(&mut self, now: Duration, endpoint: SocketAddr, exchange: &Exchange) {
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        let retry = now + self.timing.push_retry;
        contact.check_at = now + SELDOM;
        match exchange.task {
            Task::Check | Task::Nodes => {}
            Task::Push => contact.push_at = retry,
            Task::Pull => contact.pull_at = Some(retry),
            Task::Sync => contact.synced = Some(now),
        }
        if contact.misses == 0 {
            self.ping_now(now, endpoint);
        }
    }

    /// The node at this endpoint has gone down.
    pub(super) fn gone_down(&mut self, now: Duration, endpoint: SocketAddr, failure: Failure) {
        let (Some(member), Some(contact)) = (self.membership.get(endpoint), self.contacts.get_mut(&endpoint))
        else {
            return;
        };
        let node = member.node.clone();
        contact.gone_down();
        if contact.gossips {
            contact.check_at = now + SELDOM;
            self.tell_down(now, endpoint);
            self.differing_nodes.helped = true;
            self.ping_lost(now, endpoint);
        } else {
            contact.attempts = 1;
            let pause = self.about(self.timing.join_first);
            if let Some(contact) = self.contacts.get_mut(&endpoint) {
                contact.check_at = now + pause;
            }
        }
        self.set_expiry(endpoint);
        self.changed = true;
        self.directory.lose_node(&node);
        let why = Departure::Lost(failure);
        self.actions.push(Action::Gone { node, why });
        self.search_if_alone(now);
        self.pursue(now, endpoint);
    }
}
