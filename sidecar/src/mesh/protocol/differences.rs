//! How far what others know differs from what we know, and when that is looked into.

use std::net::SocketAddr;
use std::time::Duration;

use super::Protocol;
use crate::mesh::wire::Gossip;

/// Pauses grow to 32 times as long.
const MAX_SLOWNESS: u32 = 5;
/// So many differing digests in a row are no change on its way, and so many that agree no chance.
const IN_A_ROW: u32 = 3;
/// Pauses grow to so many times as long only, while differences may be of those whom we have yet to meet.
const MEETING: u32 = 8;

/// How far others' digests agree with ours, and when that is looked into.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// Digests in a row that differ.
    differing: u32,
    /// Digests in a row that agree.
    agreeing: u32,
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
        self.agreeing = 0;
        self.differing = self.differing.saturating_add(1);
        self.helped || self.differing >= IN_A_ROW
    }

    /// Another digest agrees. Where several do nodes no longer come and go, and the next that differs is of one that
    /// misses somebody by chance: its list is long, and does not help.
    fn agrees(&mut self) {
        self.differing = 0;
        self.agreeing = self.agreeing.saturating_add(1);
        self.helped &= self.agreeing < IN_A_ROW;
    }

    /// Whether one may look into it again.
    fn is_due(&self, now: Duration) -> bool {
        now >= self.not_before
    }

    /// Begins a look: the longer they do not help, the more rarely.
    fn begin(&mut self, now: Duration, shortest: Duration, longest: Duration) {
        let helped = std::mem::take(&mut self.helped);
        let shortest = (shortest * (1 << self.slowness)).min(longest);
        self.pause = if helped {
            shortest
        } else {
            (self.pause * 2).clamp(shortest, longest)
        };
        self.not_before = now + self.pause;
        (self.differing, self.agreeing) = (0, 0);
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
    /// Another's digests have come.
    pub(super) fn compare_gossip(&mut self, now: Duration, endpoint: SocketAddr, gossip: &Gossip) {
        if gossip.nodes != self.membership.digest() {
            let down = gossip.missed.iter().filter(|missed| missed.down);
            let without = self.membership.digest_without(down.map(|missed| missed.endpoint));
            if gossip.nodes == self.membership.digest_before_loss() || gossip.nodes == without {
                // All that differs is whom we have just lost, or it has, and who is looked for: its list is long, and
                // does not help.
                return;
            }
            if self.differing_nodes.another() {
                self.ask_nodes(now, endpoint);
            }
            return;
        }
        self.differing_nodes.agrees();
        if gossip.services == self.directory.digest() {
            self.differing_lists = Differences::default();
        } else if self.differing_lists.another() && self.differing_lists.is_due(now) {
            self.differing_lists
                .begin(now, self.timing.repair_pause, self.timing.gossip_longest);
            if let Some(contact) = self.contacts.get_mut(&endpoint) {
                contact.want_sync(now);
            }
            self.pursue(now, endpoint);
        }
    }

    /// Another's hash has come, and differs. One of our own kind that is up says so with each ping, too.
    pub(super) fn informed(&mut self, now: Duration, endpoint: SocketAddr) {
        let contact = self.contacts.get(&endpoint);
        let pings = contact.is_some_and(|contact| contact.gossips) && self.is_up_at(endpoint);
        if !pings || self.differing_nodes.another() {
            self.ask_nodes(now, endpoint);
        }
    }

    /// A node has come up. Where more are to be met we differ from others for that alone, and asking whom they know
    /// does not help.
    pub(super) fn differs_by_one(&mut self) {
        self.differing_nodes.helped |= !self.slots.is_meeting();
    }

    /// Asks a node whom it knows; in a large mesh, where that is much to tell, not each that knows others.
    pub(super) fn ask_nodes(&mut self, now: Duration, endpoint: SocketAddr) {
        if !self.may_ask_nodes(now) {
            return;
        }
        let at = now + self.about(self.timing.nodes_delay);
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.nodes_at.get_or_insert(at);
        }
        self.pursue(now, endpoint);
    }

    /// Whether any node may be asked whom it knows: in a large mesh, only now and then.
    pub(super) fn may_ask_nodes(&self, now: Duration) -> bool {
        !self.is_large() || self.differing_nodes.is_due(now)
    }

    /// A node is asked whom it knows.
    pub(super) fn asks_nodes(&mut self, now: Duration) {
        let known = u32::try_from(self.membership.members().len()).unwrap_or(u32::MAX);
        let shortest = self.timing.nodes_share * known;
        let longest = if self.slots.is_meeting() {
            shortest * MEETING
        } else {
            self.timing.gossip_longest
        };
        self.differing_nodes.begin(now, shortest, longest);
    }

    /// Whether so many are known that all costs something.
    pub(super) fn is_large(&self) -> bool {
        self.membership.members().len() > self.timing.kept_connections
    }
}
