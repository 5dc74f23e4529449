//! How far what others know differs from what we know, and when that is looked into.

use std::net::SocketAddr;
use std::time::Duration;

use super::Protocol;
use crate::mesh::wire::Gossip;

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
    /// Another's digests have come.
    pub(super) fn compare_gossip(&mut self, now: Duration, endpoint: SocketAddr, gossip: &Gossip) {
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
}
