//! Nodes that are missed: what others say of them, and what they are told.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;

use super::contact::Contact;
use super::{Protocol, Timer};
use crate::mesh::wire::{Missed, Node};

/// So many are told at once that a node is missed.
const TOLD_AT_ONCE: usize = 5;

impl Protocol {
    /// Somebody misses a node: looks for it, unless it was heard just now. Who then misses it, too, passes that on.
    pub(super) fn doubt(&mut self, now: Duration, Missed { endpoint, down }: Missed) {
        let patience = if down {
            self.timing.ping_patience
        } else {
            self.timing.doubt_after
        };
        if !self.is_doubtful(now, endpoint, patience) {
            return;
        }
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.doubted = true;
            if down {
                // Its kernel may say so to us, too.
                contact.check_at = now;
            }
        }
        self.ping_now(now, endpoint);
    }

    /// Another's list has a node down that is up here. Lists are long: a ping each tells of most that they live.
    pub(super) fn ping_doubtful(&mut self, now: Duration, endpoint: SocketAddr) {
        if self.is_doubtful(now, endpoint, self.timing.ping_patience) {
            self.ping_now(now, endpoint);
        }
    }

    /// Whether a node that is up was not heard for so long, and is not looked for yet.
    fn is_doubtful(&self, now: Duration, endpoint: SocketAddr, patience: Duration) -> bool {
        let contact = self.contacts.get(&endpoint);
        let doubtful = contact.is_some_and(|contact| {
            contact.gossips && contact.misses == 0 && now.saturating_sub(contact.heard) > patience
        });
        doubtful && self.is_up_at(endpoint)
    }

    /// Tells others that a node is down: some at once, if it is news.
    pub(super) fn tell_down(&mut self, now: Duration, endpoint: SocketAddr) {
        let times = self.rumour_times();
        if self.rumours.down(endpoint, times) {
            self.tell_some(now);
        }
    }

    /// Tells some at once what is to be told; where many are missed not for each, since a datagram tells of several.
    pub(super) fn tell_some(&mut self, now: Duration) {
        if self.rumours.are_many() && now < self.told_some + self.timing.ping_retry {
            return;
        }
        self.told_some = now;
        let up: Vec<SocketAddr> = self.membership.healthy().iter().map(Node::endpoint).collect();
        for _ in 0..TOLD_AT_ONCE {
            let to = up[self.rng.random_range(0..up.len())];
            let idle = |contact: &&mut Contact| contact.gossips && contact.misses == 0;
            if let Some(contact) = self.contacts.get_mut(&to).filter(idle) {
                contact.turn = None;
                self.timers.set(Timer::Ping(to), now);
            }
        }
    }

    /// Where one node is there again others may be, too: a network was cut and is whole.
    pub(super) fn found_again(&mut self, now: Duration, endpoint: SocketAddr) {
        let was_up = self.membership.get(endpoint).is_some_and(|member| member.was_up);
        if !was_up || now < self.hurried + self.timing.join_longest {
            return;
        }
        self.hurried = now;
        self.differing_nodes.helped = true;
        let lost = self
            .membership
            .members()
            .filter(|member| !member.up && member.was_up);
        let lost: Vec<SocketAddr> = lost.map(|member| member.node.endpoint()).collect();
        for endpoint in lost {
            if self
                .contacts
                .get(&endpoint)
                .is_some_and(|contact| contact.gossips)
            {
                let pause = self.part_of(self.timing.ping_hurry, 0.0);
                self.timers.set(Timer::Ping(endpoint), now + pause);
            }
        }
    }

    /// How often a rumour is told.
    pub(super) fn rumour_times(&self) -> u32 {
        // Enough to reach everybody, as with any epidemic: a few times the logarithm.
        4 + 3 * self.membership.healthy().len().max(1).ilog2()
    }
}
