//! How many exchanges may be under way at once, and who waits for the next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// The most exchanges under way.
const MAX_BUSY: usize = 128;
/// The most of them with nodes that are not up, so that neighbours that are keep their checks however
/// many strangers are named to us.
const MAX_BUSY_STRANGERS: usize = 64;

/// So few strangers are asked at least, however many do not answer in time.
const LEAST_STRANGERS: usize = 4;

/// Slots for exchanges under way, one an endpoint.
#[derive(Debug)]
pub(super) struct Slots {
    /// The endpoints asked now, and whether as strangers.
    busy: BTreeMap<SocketAddr, bool>,
    busy_strangers: usize,
    /// How many strangers may be asked: fewer where many do not answer in time, because where all nodes of a
    /// busy machine ask all others, asking less is what helps.
    strangers: usize,
    waiting: VecDeque<SocketAddr>,
    waiting_strangers: VecDeque<SocketAddr>,
    queued: BTreeSet<SocketAddr>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            busy: BTreeMap::new(),
            busy_strangers: 0,
            strangers: MAX_BUSY_STRANGERS,
            waiting: VecDeque::new(),
            waiting_strangers: VecDeque::new(),
            queued: BTreeSet::new(),
        }
    }
}

impl Slots {
    /// Takes a slot, or queues the endpoint for one.
    pub(super) fn take(&mut self, endpoint: SocketAddr, stranger: bool) -> bool {
        if self.busy.contains_key(&endpoint) {
            // Its release is its turn.
            return false;
        }
        if self.busy.len() < MAX_BUSY && (!stranger || self.busy_strangers < self.strangers) {
            self.busy.insert(endpoint, stranger);
            self.busy_strangers += usize::from(stranger);
            return true;
        }
        if self.queued.insert(endpoint) {
            let queue = if stranger {
                &mut self.waiting_strangers
            } else {
                &mut self.waiting
            };
            queue.push_back(endpoint);
        }
        false
    }

    /// Gives a slot back.
    pub(super) fn release(&mut self, endpoint: SocketAddr) {
        if self.busy.remove(&endpoint) == Some(true) {
            self.busy_strangers -= 1;
        }
    }

    /// As [`Self::release`], after an exchange that ended in time or not. Two of three must for the number of
    /// strangers asked at once to grow.
    pub(super) fn ended(&mut self, endpoint: SocketAddr, in_time: bool) {
        if self.busy.get(&endpoint) == Some(&true) {
            let strangers = if in_time {
                self.strangers.saturating_add(1)
            } else {
                self.strangers.saturating_sub(2)
            };
            self.strangers = strangers.clamp(LEAST_STRANGERS, MAX_BUSY_STRANGERS);
        }
        self.release(endpoint);
    }

    /// Whether most answer in time.
    pub(super) fn is_quick(&self) -> bool {
        self.strangers > MAX_BUSY_STRANGERS / 2
    }

    /// The next endpoint to try, if there is a slot for it.
    pub(super) fn next_waiting(&mut self) -> Option<SocketAddr> {
        if self.busy.len() >= MAX_BUSY {
            return None;
        }
        let strangers = self.busy_strangers < self.strangers;
        let next = self.waiting.pop_front();
        let next = next.or_else(|| {
            if strangers {
                self.waiting_strangers.pop_front()
            } else {
                None
            }
        })?;
        self.queued.remove(&next);
        Some(next)
    }
}
