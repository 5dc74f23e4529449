//! Attempts to reach nodes that have never answered: few to each address, so that nobody can aim the nodes of a mesh at a
//! third party. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::peer::Source;
use super::timers::Timers;

/// Addresses with attempts that are remembered, and as many that have answered. Of more, those of the longest ago are
/// forgotten.
const MAX_ADDRESSES: usize = 16_384;

/// Size of an exchange without its body, in bytes: the head of the request, and the headers of its packets.
pub(super) const HEAD: usize = 512;

/// Size of the smallest attempt, in bytes.
const LEAST: usize = HEAD + 64;

#[derive(Debug, Clone, Copy)]
struct Attempt {
    at: Duration,
    bytes: usize,
}

/// The attempts of the last `attempts_window`.
#[derive(Debug)]
pub(super) struct Attempts {
    config: Arc<Config>,
    recent: BTreeMap<IpAddr, VecDeque<Attempt>>,
    /// When the last attempt at an address is forgotten.
    expiry: Timers<IpAddr>,
    /// Addresses at which a node has answered or has spoken over TCP, and when.
    known: Timers<IpAddr>,
    /// When a peer that was down was last up again.
    recovered: Option<Duration>,
}

impl Attempts {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            recent: BTreeMap::new(),
            expiry: Timers::new(),
            known: Timers::new(),
            recovered: None,
        }
    }

    /// Bytes that the next attempt at an address may have, [`HEAD`] included; if there are none, when to try again. The last
    /// attempt is kept for a node that seems to speak itself, or for the end of a partition: it may have been named while it
    /// could not be reached.
    pub(super) fn room(&mut self, now: Duration, address: IpAddr, source: Source) -> Result<usize, Duration> {
        let window = self.config.attempts_window;
        let factor = if self.known.is_set(address) {
            self.config.attempts_known_factor
        } else {
            1
        };
        let Some(recent) = self.recent.get_mut(&address) else {
            return Ok(self.config.attempt_bytes * factor);
        };
        while recent.front().is_some_and(|first| first.at + window <= now) {
            recent.pop_front();
        }
        let used: usize = recent.iter().map(|attempt| attempt.bytes).sum();
        let left = (self.config.attempt_bytes * factor).saturating_sub(used);
        let Some(first) = recent.front() else {
            return Ok(left);
        };
        let recovers = self
            .recovered
            .is_some_and(|at| now < at + self.config.attempts_recovery);
        let kept = usize::from(source == Source::Relayed && !recovers);
        if recent.len() + kept >= self.config.attempts * factor || left < LEAST {
            Err(first.at + window)
        } else {
            Ok(left)
        }
    }

    /// A peer that was down is up again. Returns whether that is the first for a while: then a partition may have ended, and
    /// nodes that were asked in vain are to be asked again.
    pub(super) fn recovered(&mut self, now: Duration) -> bool {
        let pause = self.config.join_max_pause;
        let is_new = self.recovered.is_none_or(|at| now >= at + pause);
        if is_new {
            self.recovered = Some(now);
        }
        is_new
    }

    /// Notes an attempt.
    pub(super) fn begin(&mut self, now: Duration, address: IpAddr, bytes: usize) {
        while let Some(old) = self.expiry.pop(now) {
            self.recent.remove(&old);
        }
        if self.recent.len() >= MAX_ADDRESSES
            && let Some(oldest) = self.expiry.pop(Duration::MAX)
        {
            self.recent.remove(&oldest);
        }
        let recent = self.recent.entry(address).or_default();
        recent.push_back(Attempt { at: now, bytes });
        self.expiry.set(address, now + self.config.attempts_window);
    }

    /// The last attempt at an address could not be made.
    pub(super) fn unmade(&mut self, address: IpAddr) {
        if let Some(recent) = self.recent.get_mut(&address) {
            recent.pop_back();
        }
    }

    /// A node at an address has answered or has spoken over TCP: it is there. Returns whether that is new.
    pub(super) fn heard(&mut self, now: Duration, address: IpAddr) -> bool {
        let is_new = !self.known.is_set(address);
        self.known.set(address, now);
        if self.known.len() > MAX_ADDRESSES {
            self.known.pop(Duration::MAX);
        }
        is_new
    }

    /// A node at an address has answered: attempts at it were not in vain.
    pub(super) fn answered(&mut self, now: Duration, address: IpAddr) {
        self.heard(now, address);
        self.recent.remove(&address);
        self.expiry.cancel(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    /// Attempts of this size at an address, one each 100 ms for ten minutes while there is room; the most in a minute,
    /// and their bytes.
    fn most_in_a_minute(attempts: &mut Attempts, bytes: usize) -> (usize, usize) {
        let mut made: Vec<(Duration, usize)> = Vec::new();
        for tenth in 0..6_000 {
            let now = SECOND * tenth / 10;
            if let Ok(room) = attempts.room(now, address(1), Source::Direct) {
                let bytes = bytes.min(room);
                attempts.begin(now, address(1), bytes);
                made.push((now, bytes));
            }
        }
        let minute = |from: Duration| {
            made.iter()
                .filter(move |(at, _)| (from..from + 60 * SECOND).contains(at))
        };
        let counts = made.iter().map(|(at, _)| minute(*at).count());
        let sizes = made
            .iter()
            .map(|(at, _)| minute(*at).map(|(_, bytes)| bytes).sum());
        (counts.max().unwrap(), sizes.max().unwrap())
    }

    #[test]
    fn an_address_that_never_answered_gets_three_attempts_and_4_kb_a_minute() {
        assert_eq!(
            most_in_a_minute(&mut Attempts::new(Arc::default()), 600),
            (3, 1_800)
        );
        let (count, bytes) = most_in_a_minute(&mut Attempts::new(Arc::default()), 100_000);
        assert!(
            count <= 3 && bytes <= 4_096,
            "{count} attempts with {bytes} bytes"
        );
    }

    #[test]
    fn the_last_attempt_is_kept_for_a_node_that_speaks_itself_and_for_the_end_of_a_partition() {
        let mut attempts = Attempts::new(Arc::default());
        for _ in 0..2 {
            assert!(attempts.room(SECOND, address(1), Source::Relayed).is_ok());
            attempts.begin(SECOND, address(1), 600);
        }
        assert_eq!(
            attempts.room(SECOND, address(1), Source::Relayed),
            Err(61 * SECOND)
        );
        assert!(attempts.room(SECOND, address(1), Source::Direct).is_ok());
        assert!(attempts.recovered(2 * SECOND) && !attempts.recovered(2 * SECOND));
        assert!(attempts.room(2 * SECOND, address(1), Source::Relayed).is_ok());
        assert!(attempts.room(20 * SECOND, address(1), Source::Relayed).is_err());
    }

    #[test]
    fn an_address_with_a_node_gets_more_and_an_answer_ends_the_count() {
        let mut attempts = Attempts::new(Arc::default());
        attempts.heard(Duration::ZERO, address(1));
        assert_eq!(most_in_a_minute(&mut attempts, 600).0, 30);
        let now = 599 * SECOND;
        assert!(attempts.room(now, address(1), Source::Direct).is_err());
        attempts.answered(now, address(1));
        assert!(attempts.room(now, address(1), Source::Direct).is_ok());
    }

    #[test]
    fn addresses_do_not_share_their_attempts_and_are_bounded() {
        let mut attempts = Attempts::new(Arc::default());
        for n in 0..20_000 {
            let at = Duration::from_millis(n.into());
            assert!(attempts.room(at, address(n), Source::Relayed).is_ok());
            attempts.begin(at, address(n), 600);
            attempts.heard(at, address(n));
        }
        assert_eq!(
            (attempts.recent.len(), attempts.known.len()),
            (MAX_ADDRESSES, MAX_ADDRESSES)
        );
        attempts.begin(200 * SECOND, address(1), 600);
        assert_eq!(attempts.recent.len(), 1);
    }
}
