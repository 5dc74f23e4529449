//! How many exchanges may be under way at once, and who waits for the next.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The most exchanges under way.
const MAX_BUSY: usize = 128;
/// The most of them with nodes that are not up, so that neighbours that are keep their checks however
/// many strangers are named to us.
const MAX_BUSY_STRANGERS: usize = 64;
/// The most that are not for checks: whoever answers at the last moment has a slot for seconds.
const MAX_BUSY_BESIDE_CHECKS: usize = 96;
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
    /// To meet a stranger that has spoken.
    Meeting,
    /// To see whether there is a stranger that others know, or that did not answer.
    Hearsay,
}

/// The exchanges for one purpose.
#[derive(Debug, Default)]
struct Lane {
    busy: usize,
    /// By the numbers that they have drawn.
    waiting: BTreeMap<u64, SocketAddr>,
}

/// How many may be: fewer where many do not answer in time, because where all nodes of a busy machine ask
/// all others, asking less is what helps.
#[derive(Debug)]
struct Limit {
    now: usize,
    most: usize,
}

impl Limit {
    /// Two of three must end in time for the limit to grow.
    fn ended(&mut self, in_time: bool) {
        let limit = if in_time {
            self.now.saturating_add(1)
        } else {
            self.now.saturating_sub(2)
        };
        self.now = limit.clamp(LEAST, self.most);
    }
}

/// Slots for exchanges under way, one an endpoint.
#[derive(Debug)]
pub(super) struct Slots {
    /// The endpoints asked now, and what for.
    busy: BTreeMap<SocketAddr, Purpose>,
    /// Those that wait, what for, and which number each has drawn.
    queued: BTreeMap<SocketAddr, (Purpose, u64)>,
    /// How many have been drawn.
    numbers: u64,
    checks: Lane,
    talks: Lane,
    meetings: Lane,
    hearsay: Lane,
    /// Of talks.
    talking: Limit,
    /// Of strangers, whether they have spoken or not.
    meeting: Limit,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            busy: BTreeMap::new(),
            queued: BTreeMap::new(),
            numbers: 0,
            checks: Lane::default(),
            talks: Lane::default(),
            meetings: Lane::default(),
            hearsay: Lane::default(),
            talking: Limit {
                now: MAX_BUSY_BESIDE_CHECKS,
                most: MAX_BUSY_BESIDE_CHECKS,
            },
            meeting: Limit {
                now: FIRST_STRANGERS,
                most: MAX_BUSY_STRANGERS,
            },
        }
    }
}

impl Slots {
    fn lane(&mut self, purpose: Purpose) -> &mut Lane {
        match purpose {
            Purpose::Check => &mut self.checks,
            Purpose::Talk => &mut self.talks,
            Purpose::Meeting => &mut self.meetings,
            Purpose::Hearsay => &mut self.hearsay,
        }
    }

    fn has_room(&self, purpose: Purpose) -> bool {
        let strangers = self.meetings.busy + self.hearsay.busy;
        let beside_checks = self.talks.busy + strangers < MAX_BUSY_BESIDE_CHECKS;
        // One of those that have spoken is asked however many are that were named, and the other way round: nodes can
        // be made up, and datagrams forged.
        let one_kind = |lane: &Lane| strangers < self.meeting.now || lane.busy == 0;
        let has_room = match purpose {
            Purpose::Check => true,
            Purpose::Talk => beside_checks && self.talks.busy < self.talking.now,
            Purpose::Meeting => beside_checks && one_kind(&self.meetings),
            Purpose::Hearsay => beside_checks && one_kind(&self.hearsay),
        };
        has_room && self.busy.len() < MAX_BUSY
    }

    /// Takes a slot, or queues the endpoint for one.
    pub(super) fn take(&mut self, endpoint: SocketAddr, purpose: Purpose) -> bool {
        if self.busy.contains_key(&endpoint) {
            // Its release is its turn.
            return false;
        }
        let queued = self.queued.remove(&endpoint);
        if let Some((before, number)) = queued {
            self.lane(before).waiting.remove(&number);
        }
        if self.has_room(purpose) {
            self.lane(purpose).busy += 1;
            self.busy.insert(endpoint, purpose);
            return true;
        }
        // Who waits for another thing now keeps its place.
        let number = queued.map_or(self.numbers, |(_, number)| number);
        self.numbers += u64::from(queued.is_none());
        self.queued.insert(endpoint, (purpose, number));
        self.lane(purpose).waiting.insert(number, endpoint);
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
        match self.busy.get(&endpoint) {
            Some(Purpose::Talk) => self.talking.ended(in_time),
            Some(Purpose::Meeting | Purpose::Hearsay) => self.meeting.ended(in_time),
            Some(Purpose::Check) | None => {}
        }
        self.release(endpoint);
    }

    /// Whether most answer in time.
    pub(super) fn is_quick(&self) -> bool {
        self.meeting.now >= FIRST_STRANGERS
    }

    /// Whether strangers are asked, or wait to be.
    pub(super) fn is_meeting(&self) -> bool {
        let lanes = [&self.meetings, &self.hearsay];
        lanes.iter().any(|lane| lane.busy > 0 || !lane.waiting.is_empty())
    }

    /// The next endpoint to try, if there is a slot for it.
    pub(super) fn next_waiting(&mut self) -> Option<SocketAddr> {
        // Of the strangers, those of whom fewer are asked.
        let strangers = if self.meetings.busy <= self.hearsay.busy {
            [Purpose::Meeting, Purpose::Hearsay]
        } else {
            [Purpose::Hearsay, Purpose::Meeting]
        };
        let mut purposes = [Purpose::Check, Purpose::Talk].into_iter().chain(strangers);
        let (_, next) = purposes.find_map(|purpose| {
            let has_room = self.has_room(purpose);
            let waiting = &mut self.lane(purpose).waiting;
            has_room.then(|| waiting.pop_first()).flatten()
        })?;
        self.queued.remove(&next);
        Some(next)
    }
}
