//! How many exchanges may be under way at once, and who waits for the next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// The most exchanges under way.
const MAX_BUSY: usize = 128;
/// The most of them with nodes that are not up, so that neighbours that are keep their checks however
/// many strangers are named to us.
const MAX_BUSY_STRANGERS: usize = 64;
/// So many strangers are asked at first.
const FIRST_STRANGERS: usize = 8;
/// So few are asked at least, however many do not answer in time.
const LEAST: usize = 4;

/// The exchanges with neighbours that are up, or those with strangers.
#[derive(Debug)]
struct Lane {
    busy: usize,
    /// How many may be: fewer where many do not answer in time, because where all nodes of a busy machine ask
    /// all others, asking less is what helps.
    limit: usize,
    most: usize,
    waiting: VecDeque<SocketAddr>,
}

impl Lane {
    fn new(first: usize, most: usize) -> Self {
        Self {
            busy: 0,
            limit: first,
            most,
            waiting: VecDeque::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.busy < self.limit
    }

    /// Two of three must end in time for the limit to grow.
    fn ended(&mut self, in_time: bool) {
        let limit = if in_time {
            self.limit.saturating_add(1)
        } else {
            self.limit.saturating_sub(2)
        };
        self.limit = limit.clamp(LEAST, self.most);
    }
}

/// Slots for exchanges under way, one an endpoint.
#[derive(Debug)]
pub(super) struct Slots {
    /// The endpoints asked now, and whether as strangers.
    busy: BTreeMap<SocketAddr, bool>,
    neighbours: Lane,
    strangers: Lane,
    queued: BTreeSet<SocketAddr>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            busy: BTreeMap::new(),
            neighbours: Lane::new(MAX_BUSY, MAX_BUSY),
            strangers: Lane::new(FIRST_STRANGERS, MAX_BUSY_STRANGERS),
            queued: BTreeSet::new(),
        }
    }
}

impl Slots {
    fn lane(&mut self, stranger: bool) -> &mut Lane {
        if stranger {
            &mut self.strangers
        } else {
            &mut self.neighbours
        }
    }

    /// Takes a slot, or queues the endpoint for one.
    pub(super) fn take(&mut self, endpoint: SocketAddr, stranger: bool) -> bool {
        if self.busy.contains_key(&endpoint) {
            // Its release is its turn.
            return false;
        }
        let free = self.busy.len() < MAX_BUSY;
        let lane = self.lane(stranger);
        if free && lane.has_room() {
            lane.busy += 1;
            self.busy.insert(endpoint, stranger);
            return true;
        }
        if self.queued.insert(endpoint) {
            self.lane(stranger).waiting.push_back(endpoint);
        }
        false
    }

    /// Gives a slot back.
    pub(super) fn release(&mut self, endpoint: SocketAddr) {
        if let Some(stranger) = self.busy.remove(&endpoint) {
            self.lane(stranger).busy -= 1;
        }
    }

    /// As [`Self::release`], after an exchange that tells by whether it ended in time how many may be asked at once.
    pub(super) fn ended(&mut self, endpoint: SocketAddr, in_time: bool) {
        if let Some(stranger) = self.busy.get(&endpoint).copied() {
            self.lane(stranger).ended(in_time);
        }
        self.release(endpoint);
    }

    /// Whether most answer in time.
    pub(super) fn is_quick(&self) -> bool {
        self.strangers.limit >= FIRST_STRANGERS
    }

    /// Whether strangers are asked, or wait to be.
    pub(super) fn is_meeting(&self) -> bool {
        self.strangers.busy > 0 || !self.strangers.waiting.is_empty()
    }

    /// The next endpoint to try, if there is a slot for it.
    pub(super) fn next_waiting(&mut self) -> Option<SocketAddr> {
        if self.busy.len() >= MAX_BUSY {
            return None;
        }
        let lanes = [&mut self.neighbours, &mut self.strangers];
        let mut lanes = lanes.into_iter().filter(|lane| lane.has_room());
        let next = lanes.find_map(|lane| lane.waiting.pop_front())?;
        self.queued.remove(&next);
        Some(next)
    }
}
