//! Routes other nodes' requests, and answers them.

use std::net::IpAddr;
use std::time::Duration;

use super::Protocol;
use super::join::starting_after;
use super::membership::Heard;
use super::peer::{Peer, Source};
use crate::mesh::wire::{Answer, Node, NodeChange, NodeServices, NodeState, Request};

impl Protocol {
    pub(super) fn answer(&mut self, now: Duration, from: IpAddr, request: Request) -> Answer {
        match request {
            Request::Nodes(states) => {
                let answer = Answer::Nodes(self.membership.states());
                self.hear_states(now, from, states);
                answer
            }
            Request::Local(NodeServices { node, khala_nodes }) => {
                if self.accepts(now, from, &node) {
                    self.changed |= self.directory.set(&node, khala_nodes);
                } else if node.address() == from {
                    self.changed |= self.directory.set_lost(&node, khala_nodes);
                }
                Answer::Local(self.directory.local())
            }
            Request::Add(NodeChange { node, khala_node }) => {
                if self.accepts(now, from, &node) {
                    self.changed |= self.directory.add(&node, khala_node);
                }
                Answer::Done
            }
            Request::Remove(NodeChange { node, khala_node }) => {
                if self.accepts(now, from, &node) {
                    self.changed |= self.directory.remove(&node, &khala_node);
                } else if node.address() == from {
                    self.changed |= self.directory.withdraw_lost(&node, &khala_node);
                }
                Answer::Done
            }
            Request::Hash(_) => Answer::Hash(self.directory.hash()),
            Request::Sync(lists) => {
                let answer = Answer::Diff(self.directory.diff(&lists));
                for NodeServices { node, .. } in &lists {
                    // The sender lists itself: we may have forgotten it by mistake. Of other nodes at its address it
                    // knows no more than any other node.
                    let unknown = self.membership.get(node.endpoint()).is_none();
                    let source = if unknown && node.address() == from {
                        Source::Direct
                    } else {
                        Source::Relayed
                    };
                    self.hear(now, node, source);
                }
                answer
            }
        }
    }

    /// A program at an address has made an exchange: a node is there, so those that were asked in vain are asked again.
    pub(super) fn spoke(&mut self, now: Duration, from: IpAddr) {
        if self.attempts.heard(now, from) {
            self.ask_again(now, self.membership.unverified_at(from));
        }
    }

    /// Whether a message about a node's list comes from that node and it is up, so that the list counts. If not, the
    /// message is a reason to ask the node.
    fn accepts(&mut self, now: Duration, from: IpAddr, node: &Node) -> bool {
        let (endpoint, itself) = (node.endpoint(), node.address() == from);
        if self.membership.is_up(node) {
            if itself {
                self.exchanges.count_news(endpoint);
                self.exchanges.note_recorded(endpoint);
            } else {
                self.exchanges.want_pull(now, endpoint);
            }
            self.exchange_if_due(now, endpoint);
            return itself;
        }
        if itself {
            if self.hear(now, node, Source::Direct) == Heard::Known {
                self.check_now(now, endpoint);
            }
            self.exchanges.note_recorded(endpoint);
        }
        false
    }

    /// Handles the list of a gossiping node that asks for ours: both have joined, and need not ask each other again.
    pub(super) fn joined_by(&mut self, now: Duration, list: NodeServices) {
        let NodeServices { node, khala_nodes } = list;
        let endpoint = node.endpoint();
        self.make_room(now, &node, true);
        if self.note(now, &node, Source::Direct) == Heard::Ignored {
            return;
        }
        self.gossip_seen(now, endpoint);
        self.exchanges.count_news(endpoint);
        let joined = self.verified(now, endpoint);
        if joined {
            self.begin_probes(now, endpoint);
        }
        if let Some(plan) = self.exchanges.plan_mut(endpoint).filter(|_| joined) {
            plan.check_at = now + self.config.check_interval_probed;
            // It asks again until it has our answer.
            plan.acked = self.directory.revision();
        }
        // Only once; otherwise two nodes would make each other ask forever.
        let unasked = self
            .exchanges
            .plan(endpoint)
            .is_some_and(|plan| plan.last_pull.is_none());
        let large = self.membership.is_large();
        if unasked && self.join.asks_back(joined, large, self.exchanges.rtt()) {
            self.exchanges.want_pull(now, endpoint);
        }
        self.changed |= self.directory.set(&node, khala_nodes);
        self.exchange_if_due(now, endpoint);
    }

    /// Handles another node's list of nodes: checks those that are new, and those that are up for only one of the
    /// two. A report that a node is down counts only if a peer at the sender's address is up.
    pub(super) fn hear_states(&mut self, now: Duration, from: IpAddr, states: Vec<NodeState>) {
        let from_peer = self.membership.up().any(|peer| peer.node.address() == from);
        for NodeState { node, healthy } in starting_after(self.membership.own().endpoint(), states) {
            let heard = self.hear(now, &node, Source::Relayed);
            if heard == Heard::Added {
                self.anti_entropy.nodes_changed();
            }
            let endpoint = node.endpoint();
            let Some(peer) = self.membership.get(endpoint).filter(|_| heard == Heard::Known) else {
                continue;
            };
            if !peer.gossips() || peer.is_up() == healthy {
                continue;
            }
            if healthy && Peer::is_down(peer) {
                self.probes.probe_soon(now, endpoint, &mut self.rng);
            } else if !healthy && from_peer && self.suspicion.list_warrants_probe(now, peer) {
                self.probe_out_of_turn(now, endpoint);
            }
        }
    }
}
