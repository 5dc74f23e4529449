//! Among nodes of our own kind: looking after each other at a cost that does not grow with the mesh.
//!
//! Each node pings all others in turn, at a bounded rate: a `search` that asks for an `inform`, with
//! [`Gossip`] in the place of the hash. Whoever is pinged has heard from the other too, so that each pair needs
//! one ping a turn. A node that misses several pings in a row is down. Who misses one tells others, who look for
//! themselves at once: nobody is believed that a node is gone.

use std::net::SocketAddr;
use std::time::Duration;

use super::contact::Turn;
use super::{Failure, Protocol, Timer};
use crate::mesh::wire::{DatagramKind, Gossip, Node};

/// How much longer or shorter than the others a turn may be, lest nodes march in step.
const UNEVEN: f64 = 0.03;
/// But no more than that: the second of a pair waits for the last moment of the first.
const MOST_UNEVEN: Duration = Duration::from_millis(500);
/// Where turns have become so many times as long since a ping was planned, it waits for the rest of a longer one.
const GROWN: f64 = 1.1;
/// A check by an exchange that is not to be: a ping, or what others ask, comes before.
pub(super) const SELDOM: Duration = Duration::from_secs(24 * 3600);
/// With this ping in a row a node is also checked by an exchange. Where the way is long, the second one's answer comes
/// just after the third is sent; with that one, every lost datagram would cost an exchange.
const CHECKED_AFTER: u32 = 4;
/// With this ping in a row, which is none that merely got lost, others are told.
const TOLD_AFTER: u32 = 5;
/// The same of a node that others miss. Were it told with the first, one that lives would be pinged by everybody.
const TOLD_AFTER_DOUBT: u32 = 3;

fn uneven(turn: Duration) -> Duration {
    turn.mul_f64(UNEVEN).min(MOST_UNEVEN)
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
            .max(turn.saturating_sub(self.timing.ping_sooner))
    }

    /// Whether it is ours to ping first, of the two of a pair.
    fn pings_first(&self, endpoint: SocketAddr) -> bool {
        self.membership.own().endpoint() < endpoint
    }

    /// Plans the first ping of a node that has come up: somewhen in a turn, or after that of the first of the pair.
    pub(super) fn ping_first(&mut self, now: Duration, endpoint: SocketAddr) {
        self.lives(now, endpoint);
        let turn = self.ping_period();
        let pause = if self.pings_first(endpoint) {
            self.part_of(turn, 0.0)
        } else {
            self.second_pause(turn)
        };
        self.ping_in_turn(now, endpoint, turn, pause);
    }

    /// A node that is up has shown that it lives: its turn comes again. The first of a pair keeps to its own pings, lest
    /// those of all that are heard at once come at once ever after.
    pub(super) fn ping_again(&mut self, now: Duration, endpoint: SocketAddr) {
        let pings_first = self.pings_first(endpoint);
        let Some(contact) = self.contacts.get(&endpoint) else {
            return;
        };
        let is_planned = pings_first && contact.misses == 0;
        let (gossips, in_turn) = (contact.gossips, contact.turn.is_some());
        self.lives(now, endpoint);
        if !gossips || is_planned {
            return;
        }
        let turn = self.ping_period();
        let pause = match (pings_first, in_turn) {
            (true, true) => {
                let uneven = uneven(turn);
                turn - uneven + self.part_of(uneven * 2, 0.0)
            }
            // All that were doubted at once are not to be pinged at once ever after.
            (true, false) => self.part_of(turn, 0.0),
            (false, _) => self.second_pause(turn),
        };
        self.ping_in_turn(now, endpoint, turn, pause);
    }

    /// The second of a pair pings only where the first does not.
    fn second_pause(&self, turn: Duration) -> Duration {
        turn + uneven(turn) + self.timing.ping_retry
    }

    fn ping_in_turn(&mut self, now: Duration, endpoint: SocketAddr, length: Duration, pause: Duration) {
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.turn = Some(Turn { since: now, length });
        }
        self.timers.set(Timer::Ping(endpoint), now + pause);
    }

    /// Pings a node whose turn has come, unless the mesh has grown so that turns take longer now: all of a mesh that
    /// starts would ping all others at once otherwise, and once more in the same part of each turn.
    pub(super) fn ping_if_turn(&mut self, now: Duration, endpoint: SocketAddr) {
        let length = self.ping_period();
        let contact = self.contacts.get_mut(&endpoint);
        if let Some(turn) = contact
            .filter(|contact| contact.misses == 0)
            .and_then(|contact| contact.turn.as_mut())
            && length > turn.length.mul_f64(GROWN)
        {
            let stretch = length.div_duration_f64(turn.length) - 1.0;
            let more = now.saturating_sub(turn.since).mul_f64(stretch);
            turn.length = length;
            return self.timers.set(Timer::Ping(endpoint), now + more);
        }
        self.ping(now, endpoint);
    }

    /// A node that is up has shown that it lives: nobody need look for it.
    fn lives(&mut self, now: Duration, endpoint: SocketAddr) {
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            (contact.misses, contact.doubted, contact.heard) = (0, false, now);
        }
        self.rumours.quash(endpoint);
    }

    /// Pings a node that has gone down, when the turn is its.
    pub(super) fn ping_lost(&mut self, now: Duration, endpoint: SocketAddr) {
        let lost = self.membership.members().len() + 1 - self.membership.healthy().len();
        let share = self.timing.ping_lost * u32::try_from(lost).unwrap_or(u32::MAX);
        let pause = self.about(share.max(self.timing.join_longest));
        self.timers.set(Timer::Ping(endpoint), now + pause);
    }

    /// Pings a node now, whose turn it is not.
    pub(super) fn ping_now(&mut self, now: Duration, endpoint: SocketAddr) {
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.turn = None;
        }
        self.ping(now, endpoint);
    }

    fn ping(&mut self, now: Duration, endpoint: SocketAddr) {
        let (Some(contact), Some(member)) = (self.contacts.get_mut(&endpoint), self.membership.get(endpoint))
        else {
            return;
        };
        let (node, up) = (member.node.clone(), member.up);
        if !up {
            self.ping_lost(now, endpoint);
            return self.send_gossip(&node, DatagramKind::Search);
        }
        if contact.misses >= self.timing.pings_until_down {
            contact.misses = 0;
            if self.membership.lose(now, endpoint) {
                return self.gone_down(now, endpoint, Failure::Timeout);
            }
        }
        contact.misses += 1;
        let (pause, told_after) = match contact.doubted {
            true => (self.timing.ping_retry, TOLD_AFTER_DOUBT),
            false if contact.misses == 1 => (self.timing.ping_patience, TOLD_AFTER),
            false => (self.timing.ping_retry, TOLD_AFTER),
        };
        self.timers.set(Timer::Ping(endpoint), now + pause);
        if contact.misses == CHECKED_AFTER {
            // Its kernel may know better, or only datagrams be lost.
            contact.check_at = now;
        }
        if contact.misses == told_after {
            let times = self.rumour_times();
            self.rumours.doubt(endpoint, times);
            self.tell_some(now);
        }
        self.send_gossip(&node, DatagramKind::Search);
        self.pursue(now, endpoint);
    }

    /// A node sent gossip.
    pub(super) fn gossiped(&mut self, now: Duration, kind: DatagramKind, node: &Node, gossip: &Gossip) {
        let endpoint = node.endpoint();
        // One datagram for one, no longer, and to strangers not for every one: nobody gains by asking in
        // another's name.
        if kind == DatagramKind::Search && (self.membership.is_up(node) || self.may_inform(now)) {
            self.send_gossip(node, DatagramKind::Inform);
        }
        self.gossips(now, endpoint);
        if self.membership.is_up(node) {
            self.ping_again(now, endpoint);
            self.compare_gossip(now, endpoint, gossip);
            for missed in &gossip.missed {
                self.doubt(now, *missed);
            }
        } else {
            self.found_again(now, endpoint);
            self.check_now(now, node);
        }
    }

    /// Rumours are only for who is up: each is told so many times, which a stranger is not to use up.
    fn send_gossip(&mut self, to: &Node, kind: DatagramKind) {
        let missed = if self.membership.is_up(to) {
            self.rumours.tell()
        } else {
            Vec::new()
        };
        let gossip = Gossip {
            nodes: self.membership.digest(),
            services: self.directory.digest(),
            missed,
        };
        self.send(to.datagram_address(), kind, gossip.text());
    }
}
