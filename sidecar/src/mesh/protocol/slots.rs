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

/// What an exchange is for: those for one thing wait for each other, not for those for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find out soon that a neighbour is gone, or anything with one of which nothing else tells.
    Check,
    /// To talk to a neighbour whose pings tell that it is there.
    Talk,
    /// To meet a stranger.
    Meeting,
}

/// The exchanges for one purpose.
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
    /// The endpoints asked now, and what for.
    busy: BTreeMap<SocketAddr, Purpose>,
    checks: Lane,
    talks: Lane,
    strangers: Lane,
    queued: BTreeSet<SocketAddr>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            busy: BTreeMap::new(),
            checks: Lane::new(MAX_BUSY, MAX_BUSY),
            talks: Lane::new(MAX_BUSY, MAX_BUSY),
            strangers: Lane::new(FIRST_STRANGERS, MAX_BUSY_STRANGERS),
            queued: BTreeSet::new(),
        }
    }
}

impl Slots {
    fn lane(&mut self, purpose: Purpose) -> &mut Lane {
        match purpose {
            Purpose::Check => &mut self.checks,
            Purpose::Talk => &mut self.talks,
            Purpose::Meeting => &mut self.strangers,
        }
    }

    /// Takes a slot, or queues the endpoint for one.
    pub(super) fn take(&mut self, endpoint: SocketAddr, purpose: Purpose) -> bool {
        if self.busy.contains_key(&endpoint) {
            // Its release is its turn.
            return false;
        }
        let free = self.busy.len() < MAX_BUSY;
        let lane = self.lane(purpose);
        if free && lane.has_room() {
            lane.busy += 1;
            self.busy.insert(endpoint, purpose);
            return true;
        }
        if self.queued.insert(endpoint) {
            self.lane(purpose).waiting.push_back(endpoint);
        }
        false
    }

    /// Gives a slot back.
    pub(super) fn release(&mut self, endpoint: SocketAddr) {
        if let Some(purpose) = self.busy.remove(&endpoint) {
            self.lane(purpose).busy -= 1;
        }
    }

    /// As [`Self::release`], after an exchange that tells by whether it ended in time how many may be asked at once.
    pub(super) fn ended(&mut self, endpoint: SocketAddr, in_time: bool) {
        if let Some(purpose) = self.busy.get(&endpoint).copied() {
            self.lane(purpose).ended(in_time);
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
        let lanes = [&mut self.checks, &mut self.talks, &mut self.strangers];
        let mut lanes = lanes.into_iter().filter(|lane| lane.has_room());
        let next = lanes.find_map(|lane| lane.waiting.pop_front())?;
        self.queued.remove(&next);
        Some(next)
    }
}
