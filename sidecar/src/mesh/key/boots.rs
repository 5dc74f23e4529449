//! Whose boot numbers are known, with the counters that each has used, and the challenges that wait for their proof.
//!
//! A boot number becomes known only by an answer to a question of ours: the answer to an exchange, or the proof that answers
//! a challenge. So an old message teaches nothing, whichever side was restarted since.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::envelope::Nonce;
use super::replay_window::ReplayWindow;
use crate::mesh::wire::MAX_NODES;

/// Limit of the challenges that wait for their proof, which takes one round trip. The oldest is dropped.
pub const MAX_CHALLENGES: usize = 4096;

/// Pause before a node at the same address is asked again because of messages with an unknown boot number.
pub const HINT_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Known {
    boot: u64,
    window: ReplayWindow,
    /// When it was used last, in uses of the table.
    used: u64,
}

/// The boot numbers of other nodes.
#[derive(Debug, Default)]
pub struct Boots {
    /// One for each endpoint, which is one node at a time. At most [`MAX_NODES`].
    known: HashMap<SocketAddr, Known>,
    /// By the counters of their nonces, which ascend.
    challenges: BTreeMap<u64, (Nonce, SocketAddr, u64)>,
    /// When a node at an address was last to be asked because of a message with an unknown boot number. At most
    /// [`MAX_NODES`].
    hinted: HashMap<IpAddr, Duration>,
    uses: u64,
}

impl Boots {
    /// Whether a message from a node counts: its boot number is known, and its counter was not used before.
    pub fn admit(&mut self, from: SocketAddr, nonce: Nonce) -> bool {
        self.uses += 1;
        let uses = self.uses;
        let known = self.known.get_mut(&from).filter(|known| known.boot == nonce.boot);
        known.is_some_and(|known| {
            known.used = uses;
            known.window.admit(nonce.counter)
        })
    }

    /// Whether the boot number of a message from a node is known.
    #[must_use]
    pub fn knows(&self, from: SocketAddr, nonce: Nonce) -> bool {
        self.known
            .get(&from)
            .is_some_and(|known| known.boot == nonce.boot)
    }

    /// Whether a node has answered a question of ours. It knows our boot number then as well, unless it was restarted since
    /// or the last message of that exchange was lost.
    #[must_use]
    pub fn has_answered(&self, node: SocketAddr) -> bool {
        self.known.contains_key(&node)
    }

    /// A node has answered a question of ours with this message.
    pub fn answered(&mut self, from: SocketAddr, nonce: Nonce) {
        if self.knows(from, nonce) {
            return;
        }
        if self.known.len() >= MAX_NODES && !self.known.contains_key(&from) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(endpoint, _)| *endpoint) {
                self.known.remove(&oldest);
            }
        }
        self.uses += 1;
        let known = Known {
            boot: nonce.boot,
            // Messages up to this one may have been recorded before our start.
            window: ReplayWindow::after(nonce.counter),
            used: self.uses,
        };
        self.known.insert(from, known);
    }

    /// A challenge with this nonce goes to a node, whose message had this boot number.
    pub fn challenge(&mut self, challenge: Nonce, to: SocketAddr, boot: u64) {
        self.challenges.insert(challenge.counter, (challenge, to, boot));
        if self.challenges.len() > MAX_CHALLENGES {
            self.challenges.pop_first();
        }
    }

    /// Whether a message that answers a challenge counts. A challenge is answered once.
    pub fn prove(&mut self, from: SocketAddr, nonce: Nonce, challenge: Nonce) -> bool {
        let pending = self.challenges.get(&challenge.counter);
        if pending != Some(&(challenge, from, nonce.boot)) {
            return self.admit(from, nonce);
        }
        self.challenges.remove(&challenge.counter);
        if self.knows(from, nonce) {
            // Another proof was faster.
            return self.admit(from, nonce);
        }
        self.answered(from, nonce);
        true
    }

    /// Whether a node is to be asked now, because of a message with an unknown boot number: one at a time of all at its
    /// address, which may be that of many.
    pub fn hint(&mut self, from: IpAddr, now: Duration) -> bool {
        let is_recent = |at: &Duration| now < *at + HINT_PAUSE;
        if self.hinted.get(&from).is_some_and(is_recent) {
            return false;
        }
        if self.hinted.len() >= MAX_NODES {
            self.hinted.retain(|_, at| is_recent(at));
        }
        // With all places taken by addresses that were asked within this second, this one waits for the next.
        let room = self.hinted.len() < MAX_NODES;
        if room {
            self.hinted.insert(from, now);
        }
        room
    }
}
