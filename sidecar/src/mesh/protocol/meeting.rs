//! Coming to know nodes of our own kind: by their lists, and by what others know.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::gossip::SELDOM;
use super::{Protocol, Timer};
use crate::mesh::membership::{Heard, Word};
use crate::mesh::wire::{NodeServices, NodeState};

/// How long one of two waits for the other to ask.
const COURTESY: Duration = Duration::from_millis(400);

/// Whose it is to ask, of two that know each other: each asks every other node.
fn asks(own: SocketAddr, other: SocketAddr) -> bool {
    let last = |endpoint: SocketAddr| match endpoint.ip() {
        IpAddr::V4(ip) => u32::from(ip.octets()[3]),
        IpAddr::V6(ip) => u32::from(ip.octets()[15]),
    };
    let even = (last(own) + last(other)) % 2 == 0;
    even == (own < other)
}

impl Protocol {
    /// A node that is new has spoken, so that each knows the other: in a large mesh, where meeting is work, only one
    /// of the two asks at once. The other does where nothing comes.
    pub(super) fn leave_first_question(&mut self, now: Duration, endpoint: SocketAddr) {
        if self.is_large()
            && !asks(self.membership.own().endpoint(), endpoint)
            && let Some(contact) = self.contacts.get_mut(&endpoint)
        {
            contact.check_at = now + self.patience.at_least(COURTESY);
        }
    }

    /// Takes in the list of a node of our kind that asks for ours: with it we have met, and need not ask.
    pub(super) fn met(&mut self, now: Duration, list: NodeServices) {
        let NodeServices { node, khala_nodes } = list;
        let endpoint = node.endpoint();
        if self.note(now, &node, Word::Own) == Heard::Ignored {
            return;
        }
        self.gossips(now, endpoint);
        let revision = self.directory.revision();
        let joined = self.membership.answered(endpoint);
        let keeps_connections = !self.is_large();
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        contact.news += 1;
        if joined {
            contact.came_up(now + SELDOM);
            // It asks again until it has our answer.
            contact.told = revision;
        }
        // Where it asks once more, our answer got lost (or came too late, where many do), and our own question may not.
        let asks_again = !joined && self.patience.is_usual(self.timing.join_timeout);
        // The connection that tells at once when it dies is made by a question, too, and so far only it has one. Only one
        // question, lest each make the other ask for ever.
        if contact.pulled.is_none() && (asks_again || keeps_connections) {
            contact.want_pull(now, self.timing.repair_pause);
        }
        if joined {
            self.changed = true;
            self.set_expiry(endpoint);
            self.differs_by_one();
            self.ping_first(now, endpoint);
        }
        self.changed |= self.directory.set(&node, khala_nodes);
        self.pursue(now, endpoint);
    }

    /// What another knows of the nodes: who is new is checked, and so is of whom it thinks otherwise; but that a
    /// node is down is heeded only from one at an address where one is up.
    pub(super) fn hear_states(&mut self, now: Duration, from: IpAddr, mut states: Vec<NodeState>) {
        let from_neighbour = self
            .membership
            .members()
            .any(|member| member.up && member.node.address() == from);
        // Every node begins after itself, lest all ask the same one first.
        let own = self.membership.own().endpoint();
        let after = states.iter().position(|state| state.node.endpoint() > own);
        states.rotate_left(after.unwrap_or_default());
        for NodeState { node, healthy } in states {
            let heard = self.hear(now, &node, Word::Hearsay);
            self.differing_nodes.helped |= heard == Heard::Added;
            let endpoint = node.endpoint();
            let gossips = self
                .contacts
                .get(&endpoint)
                .is_some_and(|contact| contact.gossips);
            if heard != Heard::Known || !gossips || self.is_up_at(endpoint) == healthy {
                continue;
            }
            if !healthy {
                if from_neighbour {
                    self.ping_doubtful(now, endpoint);
                }
            } else if self.membership.get(endpoint).is_some_and(|member| member.was_up) {
                // It lives, somebody says.
                let pause = self.part_of(self.timing.ping_hurry, 0.0);
                self.timers.set(Timer::Ping(endpoint), now + pause);
            }
        }
    }
}
