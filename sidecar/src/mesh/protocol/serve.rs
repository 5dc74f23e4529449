//! Answers to other nodes' requests, and what their messages change here.

use std::net::IpAddr;
use std::time::Duration;

use super::Protocol;
use crate::mesh::membership::{Heard, Word};
use crate::mesh::wire::{Answer, Node, NodeChange, NodeServices, Request};

impl Protocol {
    pub(super) fn answer(&mut self, now: Duration, from: IpAddr, request: Request) -> Answer {
        match request {
            Request::Nodes(states) => {
                let answer = Answer::Nodes(self.membership.states());
                self.hear_states(now, from, states);
                answer
            }
            Request::Local(NodeServices { node, khala_nodes }) => {
                if self.speaks(now, from, &node) {
                    self.changed |= self.directory.set(&node, khala_nodes);
                }
                Answer::Local(self.directory.local())
            }
            Request::Add(NodeChange { node, khala_node }) => {
                if self.speaks(now, from, &node) {
                    self.changed |= self.directory.add(&node, khala_node);
                }
                Answer::Done
            }
            Request::Remove(NodeChange { node, khala_node }) => {
                if self.speaks(now, from, &node) {
                    self.changed |= self.directory.remove(&node, &khala_node);
                }
                Answer::Done
            }
            Request::Hash(_) => Answer::Hash(self.directory.hash()),
            Request::Sync(lists) => {
                let answer = Answer::Diff(self.directory.diff(&lists));
                for NodeServices { node, .. } in &lists {
                    // The sender lists itself: we may have forgotten it by mistake. Of a neighbour at
                    // the sender's address it knows no better than anybody.
                    let unknown = self.membership.get(node.endpoint()).is_none();
                    let own = unknown && node.address() == from;
                    self.hear(now, node, if own { Word::Own } else { Word::Hearsay });
                }
                answer
            }
        }
    }

    /// Whether a message about a node's list comes from that node and it is up, so that it counts. If not
    /// it is a hint to look at the node ourselves.
    fn speaks(&mut self, now: Duration, from: IpAddr, node: &Node) -> bool {
        let (endpoint, itself) = (node.endpoint(), node.address() == from);
        if self.membership.is_up(node) {
            if let Some(contact) = self.contacts.get_mut(&endpoint) {
                contact.news += 1;
                if !itself {
                    contact.want_pull(now, self.timing.repair_pause);
                }
            }
            self.pursue(now, endpoint);
            return itself;
        }
        if itself && self.hear(now, node, Word::Own) == Heard::Known {
            self.check_now(now, node);
        }
        false
    }

    /// Checks a node that is not up because it has shown that it lives.
    pub(super) fn check_now(&mut self, now: Duration, node: &Node) {
        let endpoint = node.endpoint();
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.news += 1;
            contact.attempts = 0;
            contact.check_at = now;
        }
        self.pursue(now, endpoint);
    }
}
