//! Among nodes of our own kind: looking after each other at a cost that does not grow with the mesh.
//!
//! Each node pings all others in turn, at a bounded rate: a `search` that asks for an `inform`, with
//! [`Gossip`] in the place of the hash. Whoever is pinged has heard from the other too, so that each pair needs
//! one ping a turn. A node that misses several pings in a row is down. Who misses one tells others, who look for
//! themselves at once: nobody is believed that a node is gone.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;

use super::contact::Contact;
use super::{Failure, Protocol, Timer};
use crate::mesh::membership::{Heard, Word};
use crate::mesh::wire::{DatagramKind, Gossip, Missed, Node, NodeServices, NodeState};

/// How much longer or shorter than the others a turn may be, lest nodes march in step.
const UNEVEN: f64 = 0.03;
/// A check by an exchange that is not to be: a ping, or what others ask, comes before.
pub(super) const SELDOM: Duration = Duration::from_secs(24 * 3600);
/// With this ping in a row a node is also checked by an exchange.
const CHECKED_AFTER: u32 = 3;
/// With this ping in a row, which is none that merely got lost, others are told.
const TOLD_AFTER: u32 = 5;
/// So many are told at once that a node is down.
const TOLD_AT_ONCE: usize = 3;
/// Pauses grow to 32 times as long.
const MAX_SLOWNESS: u32 = 5;
/// So many differing digests in a row are no change on its way.
const DIFFERENCES: u32 = 3;

/// How far others' digests agree with ours, and when that is looked into.
#[derive(Debug, Default)]
pub(super) struct Differences {
    in_a_row: u32,
    not_before: Duration,
    pause: Duration,
    /// How often the pauses are doubled because answers take too long.
    slowness: u32,
    /// The last time helped, or nodes come and go, so that the next may.
    pub(super) helped: bool,
}

impl Differences {
    /// Another digest differs: is it time to look into it? At once while all is changing anyway.
    fn another(&mut self) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.helped || self.in_a_row >= DIFFERENCES
    }

    /// Begins a look, if one is due: the longer they do not help, the more rarely.
    fn begin(&mut self, now: Duration, shortest: Duration, longest: Duration) -> bool {
        if now < self.not_before {
            return false;
        }
        let helped = std::mem::take(&mut self.helped);
        let shortest = (shortest * (1 << self.slowness)).min(longest);
        self.pause = if helped {
            shortest
        } else {
            (self.pause * 2).clamp(shortest, longest)
        };
        self.not_before = now + self.pause;
        self.in_a_row = 0;
        true
    }

    /// A look has ended: where the answer takes too long others' do, too, and asking less is what helps.
    pub(super) fn ended(&mut self, in_time: bool) {
        self.slowness = if in_time {
            self.slowness.saturating_sub(1)
        } else {
            (self.slowness + 1).min(MAX_SLOWNESS)
        };
    }
}

impl Protocol {
    /// The node at this endpoint, whose answer comes next, says that it gossips.
    pub(super) fn says_gossips(&mut self, now: Duration, endpoint: SocketAddr) {
        self.gossips(now, endpoint);
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.said_so = true;
        }
    }

    /// An answer has come: who does not say that it gossips is another program than before, maybe.
    pub(super) fn answered_gossiping(&mut self, endpoint: SocketAddr) {
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        if !std::mem::take(&mut contact.said_so) && contact.gossips {
            contact.gossips = false;
            contact.misses = 0;
            self.timers.cancel(Timer::Ping(endpoint));
        }
    }

    /// The node at this endpoint has shown that it gossips.
    pub(super) fn gossips(&mut self, now: Duration, endpoint: SocketAddr) {
        let up = self.is_up_at(endpoint);
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        if !std::mem::replace(&mut contact.gossips, true) && up {
            contact.check_at = now + SELDOM;
            self.ping_first(now, endpoint);
        }
    }

    /// When a node that is up is checked by an exchange again.
    pub(super) fn next_check(&mut self, now: Duration, endpoint: SocketAddr) -> Duration {
        let gossips = self
            .contacts
            .get(&endpoint)
            .is_some_and(|contact| contact.gossips);
        let period = if gossips { SELDOM } else { self.timing.check_period };
        now + self.about(period)
    }

    /// From the answer to one ping of a node to the next.
    fn ping_period(&self) -> Duration {
        let neighbours = u32::try_from(self.membership.healthy().len() - 1).unwrap_or(u32::MAX);
        let turn = self.timing.ping_share * neighbours;
        self.timing
            .check_period
            .max(turn.saturating_sub(self.timing.ping_way))
    }

    /// Plans the first ping of a node that has come up, somewhen in a turn.
    pub(super) fn ping_first(&mut self, now: Duration, endpoint: SocketAddr) {
        let pause = self.part_of(self.ping_period(), 0.0);
        self.timers.set(Timer::Ping(endpoint), now + pause);
    }

    /// A node that is up has shown that it lives: its turn comes again.
    pub(super) fn ping_again(&mut self, now: Duration, endpoint: SocketAddr) {
        let Some(contact) = self.contacts.get_mut(&endpoint).filter(|contact| contact.gossips) else {
            return;
        };
        (contact.misses, contact.heard) = (0, now);
        let period = self.ping_period();
        let pause = if self.membership.own().endpoint() < endpoint {
            period.mul_f64(self.rng.random_range(1.0 - UNEVEN..1.0 + UNEVEN))
        } else {
            // The second of a pair only where the first does not.
            period.mul_f64(1.0 + UNEVEN) + self.timing.ping_retry
        };
        self.timers.set(Timer::Ping(endpoint), now + pause);
        self.rumours.quash(endpoint);
    }

    /// Pings a node that has gone down, when the turn is its.
    pub(super) fn ping_lost(&mut self, now: Duration, endpoint: SocketAddr) {
        let lost = self.membership.members().len() + 1 - self.membership.healthy().len();
        let share = self.timing.ping_lost * u32::try_from(lost).unwrap_or(u32::MAX);
        let pause = self.about(share.max(self.timing.join_longest));
        self.timers.set(Timer::Ping(endpoint), now + pause);
    }

    /// The turn of a node has come.
    pub(super) fn ping(&mut self, now: Duration, endpoint: SocketAddr) {
        let (Some(contact), Some(member)) = (self.contacts.get_mut(&endpoint), self.membership.get(endpoint))
        else {
            return;
        };
        let (to, up) = (member.node.datagram_address(), member.up);
        if !up {
            self.ping_lost(now, endpoint);
            return self.send_gossip(to, DatagramKind::Search);
        }
        if contact.misses >= self.timing.pings_until_down {
            contact.misses = 0;
            if self.membership.lose(now, endpoint) {
                return self.gone_down(now, endpoint, Failure::Timeout);
            }
        }
        contact.misses += 1;
        let pause = if contact.misses == 1 {
            self.timing.ping_patience
        } else {
            self.timing.ping_retry
        };
        self.timers.set(Timer::Ping(endpoint), now + pause);
        if contact.misses == CHECKED_AFTER {
            // Its kernel may know better, or only datagrams be lost.
            contact.check_at = now;
        }
        if contact.misses == TOLD_AFTER {
            let times = self.rumour_times();
            self.rumours.doubt(endpoint, times);
        }
        self.send_gossip(to, DatagramKind::Search);
        self.pursue(now, endpoint);
    }

    /// A node sent gossip.
    pub(super) fn gossiped(&mut self, now: Duration, kind: DatagramKind, node: &Node, gossip: &Gossip) {
        let endpoint = node.endpoint();
        if kind == DatagramKind::Search {
            // One datagram for one, no longer: nobody gains by asking in another's name.
            self.send_gossip(node.datagram_address(), DatagramKind::Inform);
        }
        self.gossips(now, endpoint);
        if self.membership.is_up(node) {
            self.ping_again(now, endpoint);
            self.compare_gossip(now, endpoint, gossip);
        } else {
            self.found_again(now, endpoint);
            self.check_now(now, node);
        }
        for missed in &gossip.missed {
            self.doubt(now, *missed);
        }
    }

    /// Somebody misses a node: looks for it, unless it was heard just now. A mere doubt is passed on, so that it is
    /// with everybody soon; where it proves wrong it dies out.
    pub(super) fn doubt(&mut self, now: Duration, Missed { endpoint, down }: Missed) {
        let patience = if down {
            self.timing.ping_patience
        } else {
            self.timing.doubt_after
        };
        let up = self.is_up_at(endpoint);
        let contact = self.contacts.get(&endpoint);
        let doubtful = contact.is_some_and(|contact| {
            contact.gossips && contact.misses == 0 && now.saturating_sub(contact.heard) > patience
        });
        if !up || !doubtful {
            return;
        }
        if !down {
            let times = self.rumour_times();
            self.rumours.doubt(endpoint, times);
        } else if let Some(contact) = self.contacts.get_mut(&endpoint) {
            // Its kernel may say so to us, too.
            contact.check_at = now;
        }
        self.ping(now, endpoint);
    }

    /// Where one node is there again others may be, too: a network was cut and is whole.
    fn found_again(&mut self, now: Duration, endpoint: SocketAddr) {
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

    /// Takes in the list of a node of our kind that asks for ours: with it we have met, and need not ask.
    pub(super) fn met(&mut self, now: Duration, list: NodeServices) {
        let NodeServices { node, khala_nodes } = list;
        let endpoint = node.endpoint();
        if self.note(now, &node, Word::Own) == Heard::Ignored {
            return;
        }
        self.gossips(now, endpoint);
        let revision = self.directory.revision();
        let Some(contact) = self.contacts.get_mut(&endpoint) else {
            return;
        };
        contact.news += 1;
        if self.membership.answered(endpoint) {
            contact.came_up(now + SELDOM);
            // It asks again until it has our answer.
            contact.told = revision;
            self.changed = true;
            self.differing_nodes.helped = true;
            self.set_expiry(endpoint);
            self.ping_first(now, endpoint);
        } else if contact.pulled.is_none() {
            // It asks once more: our answer got lost, and our own question may not. Only one, lest each make
            // the other ask for ever.
            contact.want_pull(now, self.timing.repair_pause);
        }
        self.changed |= self.directory.set(&node, khala_nodes);
        self.pursue(now, endpoint);
    }

    /// What another knows of the nodes: who is new is checked, and so is of whom it thinks otherwise.
    pub(super) fn hear_states(&mut self, now: Duration, mut states: Vec<NodeState>) {
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
                self.doubt(now, Missed { endpoint, down: true });
            } else if self.membership.get(endpoint).is_some_and(|member| member.was_up) {
                // It lives, somebody says.
                let pause = self.part_of(self.timing.ping_hurry, 0.0);
                self.timers.set(Timer::Ping(endpoint), now + pause);
            }
        }
    }

    fn compare_gossip(&mut self, now: Duration, endpoint: SocketAddr, gossip: &Gossip) {
        if gossip.nodes != self.membership.digest() {
            if self.differing_nodes.another() {
                self.ask_nodes(now, endpoint);
            }
            return;
        }
        self.differing_nodes.in_a_row = 0;
        if gossip.services == self.directory.digest() {
            self.differing_lists = Differences::default();
        } else if self.differing_lists.another()
            && self
                .differing_lists
                .begin(now, self.timing.repair_pause, self.timing.gossip_longest)
        {
            if let Some(contact) = self.contacts.get_mut(&endpoint) {
                contact.want_sync(now);
            }
            self.pursue(now, endpoint);
        }
    }

    /// Asks a node whom it knows; in a large mesh, where that is much to tell, not each that knows others.
    pub(super) fn ask_nodes(&mut self, now: Duration, endpoint: SocketAddr) {
        let known = self.membership.members().len();
        let large = known > self.timing.kept_connections;
        let shortest = self.timing.nodes_share * u32::try_from(known).unwrap_or(u32::MAX);
        let longest = self.timing.gossip_longest;
        if large && !self.differing_nodes.begin(now, shortest, longest) {
            return;
        }
        let at = now + self.about(self.timing.nodes_delay);
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.nodes_at.get_or_insert(at);
        }
        self.pursue(now, endpoint);
    }

    /// Tells others that a node is down: some at once, if it is news.
    pub(super) fn tell_down(&mut self, now: Duration, endpoint: SocketAddr) {
        let times = self.rumour_times();
        if !self.rumours.down(endpoint, times) {
            return;
        }
        let up: Vec<SocketAddr> = self.membership.healthy().iter().map(Node::endpoint).collect();
        for _ in 0..TOLD_AT_ONCE {
            let to = up[self.rng.random_range(0..up.len())];
            let idle = |contact: &&Contact| contact.gossips && contact.misses == 0;
            if self.contacts.get(&to).filter(idle).is_some() {
                self.timers.set(Timer::Ping(to), now);
            }
        }
    }

    fn rumour_times(&self) -> u32 {
        // Enough to reach everybody, as with any epidemic: a few times the logarithm.
        4 + 3 * self.membership.healthy().len().max(1).ilog2()
    }

    fn send_gossip(&mut self, to: SocketAddr, kind: DatagramKind) {
        let gossip = Gossip {
            nodes: self.membership.digest(),
            services: self.directory.digest(),
            missed: self.rumours.tell(),
        };
        self.send(to, kind, gossip.text());
    }
}
