//! Coming to know nodes, and forgetting them.

use std::net::SocketAddr;
use std::time::Duration;

use super::contact::Contact;
use super::{Action, Departure, Protocol, Timer};
use crate::mesh::membership::{Heard, Word};
use crate::mesh::wire::Node;

impl Protocol {
    /// Hears of a node; one that is new is checked at once.
    pub(super) fn hear(&mut self, now: Duration, node: &Node, word: Word) -> Heard {
        let heard = self.note(now, node, word);
        if matches!(heard, Heard::Added | Heard::Replaced(_)) {
            self.pursue(now, node.endpoint());
        }
        heard
    }

    /// Hears of a node, and does nothing about it yet.
    pub(super) fn note(&mut self, now: Duration, node: &Node, word: Word) -> Heard {
        let endpoint = node.endpoint();
        let known = self.membership.get(endpoint).is_some();
        if word == Word::Own && !known {
            // Who speaks itself is worth more than who was only heard of, or no longer answers.
            if let Some(other) = self.membership.in_the_way(node.address()).map(Node::endpoint) {
                self.forget(now, other, None);
            }
        }
        let was_up = self.is_up_at(endpoint);
        let heard = self.membership.hear(now, node, word);
        if let Heard::Replaced(old) = &heard {
            if was_up {
                let (node, why) = (old.clone(), Departure::Replaced);
                self.actions.push(Action::Gone { node, why });
            }
            self.dropped(now, old, Some(Departure::Replaced));
        }
        if matches!(heard, Heard::Added | Heard::Replaced(_)) {
            self.changed = true;
            self.contacts
                .insert(endpoint, Contact::new(now, self.timing.repair_pause));
            self.set_expiry(endpoint);
        }
        if word == Word::Own
            && let Some(contact) = self.contacts.get_mut(&endpoint)
        {
            contact.spoke = true;
        }
        heard
    }

    /// Forgets a node; `why` where that may be news.
    pub(super) fn forget(&mut self, now: Duration, endpoint: SocketAddr, why: Option<Departure>) {
        if let Some(why) = why {
            self.tell_gone(endpoint, why);
        }
        if let Some(node) = self.membership.forget(now, endpoint) {
            self.dropped(now, &node, why);
        }
    }

    /// Clears up after a node that membership has forgotten.
    fn dropped(&mut self, now: Duration, node: &Node, why: Option<Departure>) {
        let endpoint = node.endpoint();
        self.changed = true;
        // An exchange under way stays in its slot until it ends; nobody then waits for its answer.
        self.contacts.remove(&endpoint);
        self.timers.cancel(Timer::Contact(endpoint));
        self.timers.cancel(Timer::Expiry(endpoint));
        self.timers.cancel(Timer::Ping(endpoint));
        self.rumours.quash(endpoint);
        let had_list = match why {
            Some(Departure::Replaced | Departure::Lost(_)) => self.directory.lose_node(node),
            Some(Departure::Left) | None => self.directory.drop_node(node),
        };
        if had_list {
            self.search_if_alone(now);
        }
    }

    pub(super) fn set_expiry(&mut self, endpoint: SocketAddr) {
        match self.membership.expiry(endpoint) {
            Some(at) => self.timers.set(Timer::Expiry(endpoint), at),
            None => self.timers.cancel(Timer::Expiry(endpoint)),
        }
    }

    /// Whether the node at this endpoint is up.
    pub(super) fn is_up_at(&self, endpoint: SocketAddr) -> bool {
        self.membership.get(endpoint).is_some_and(|member| member.up)
    }

    /// Says why a node goes, where it is up.
    pub(super) fn tell_gone(&mut self, endpoint: SocketAddr, why: Departure) {
        if let Some(member) = self.membership.get(endpoint).filter(|member| member.up) {
            let node = member.node.clone();
            self.actions.push(Action::Gone { node, why });
        }
    }
}
