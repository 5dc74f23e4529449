//! The pace at which connections that waited are released: that at which endpoints answer. Pure.
//!
//! A crowd that is released at once fills the endpoint's backlog with requests that it answers long after their clients have
//! left. So only a limited number of released connections are without an answer at a time. The limit grows by 1 with each
//! answer that is nearly as fast as the fastest one, as TCP's slow start, and shrinks with each that is much slower, because
//! that one has waited for others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Released connections without an answer at first. Higher releases a crowd sooner; lower spares a slow endpoint.
const FIRST: usize = 32;
/// The lowest limit.
const MIN: usize = 8;
/// The highest limit.
const MAX: usize = 1024;

/// Time after which a released connection no longer counts. Some are answered late on purpose, and must not keep others.
const COUNTED: Duration = Duration::from_secs(1);
/// The same for a connection whose client has sent nothing, as those of a pool: it costs the endpoint nothing.
const COUNTED_IF_SILENT: Duration = Duration::from_millis(50);

/// An answer is fast up to this multiple of the fastest.
const FAST: u32 = 2;
/// An answer is slow from this multiple of the fastest.
const SLOW: u32 = 4;

/// Counts released connections without an answer.
#[derive(Debug)]
pub(super) struct Pace {
    limit: usize,
    fastest: Option<Duration>,
    next: u64,
    /// When each was released, and until when it counts.
    unanswered: BTreeMap<u64, (Instant, Instant)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            limit: FIRST,
            fastest: None,
            next: 0,
            unanswered: BTreeMap::new(),
        }
    }
}

impl Pace {
    /// Begins again, for another crowd.
    pub(super) fn restart(&mut self) {
        (self.limit, self.fastest) = (FIRST, None);
    }

    /// Releases a connection, if the limit allows it. Returns its number.
    pub(super) fn release(&mut self, silent: bool, now: Instant) -> Option<u64> {
        self.unanswered.retain(|_, (_, until)| *until > now);
        if self.unanswered.len() >= self.limit {
            return None;
        }
        self.next += 1;
        let counted = if silent { COUNTED_IF_SILENT } else { COUNTED };
        self.unanswered.insert(self.next, (now, now + counted));
        Some(self.next)
    }

    /// Records the first bytes from the endpoint to a released connection.
    pub(super) fn answered(&mut self, number: u64, now: Instant) {
        let Some((released, _)) = self.unanswered.remove(&number) else {
            return;
        };
        let took = now.saturating_duration_since(released);
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        if took <= fastest * FAST {
            self.limit = (self.limit + 1).min(MAX);
        } else if took >= fastest * SLOW {
            self.limit = (self.limit - 1).max(MIN);
        }
    }

    /// Records the end of a released connection.
    pub(super) fn ended(&mut self, number: u64) {
        self.unanswered.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use proptest::prelude::*;

    use super::*;

    /// Releases a crowd to an endpoint with a number of workers that take a time for each request. Returns the longest time
    /// from release to answer, and the time until all are answered.
    fn crowd(count: usize, workers: usize, service: Duration) -> (Duration, Duration) {
        let begin = Instant::now();
        let mut pace = Pace::default();
        let mut free = vec![begin; workers];
        let mut running: Vec<(Instant, Instant, u64)> = Vec::new();
        let (mut now, mut released, mut longest) = (begin, 0, Duration::ZERO);
        loop {
            while released < count
                && let Some(number) = pace.release(false, now)
            {
                released += 1;
                let worker = free.iter_mut().min().unwrap();
                *worker = (*worker).max(now) + service;
                running.push((*worker, now, number));
            }
            let Some(first) = (0..running.len()).min_by_key(|index| running[*index].0) else {
                return (longest, now - begin);
            };
            let (done, since, number) = running.swap_remove(first);
            now = done;
            longest = longest.max(done - since);
            pace.answered(number, now);
        }
    }

    #[test]
    fn a_crowd_waits_here_and_not_at_the_endpoint() {
        // 500 requests that 4 workers answer within 6.25 s.
        let (longest, all) = crowd(500, 4, Duration::from_millis(50));
        assert!(longest <= Duration::from_secs(1), "{longest:?}");
        assert!(
            all <= Duration::from_millis(6_300),
            "the workers had nothing to do: {all:?}"
        );
    }

    #[test]
    fn an_endpoint_that_answers_all_at_once_gets_the_crowd_soon() {
        let (_, all) = crowd(4_000, 10_000, Duration::from_millis(10));
        assert!(all <= Duration::from_millis(100), "{all:?}");
    }

    #[test]
    fn connections_without_an_answer_do_not_keep_others_for_ever() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let count =
            |pace: &mut Pace, silent, now| (0..).take_while(|_| pace.release(silent, now).is_some()).count();
        assert_eq!(count(&mut pace, false, begin), FIRST);
        assert_eq!(count(&mut pace, false, begin + COUNTED / 2), 0);
        assert_eq!(count(&mut pace, true, begin + COUNTED), FIRST);
        assert_eq!(count(&mut pace, true, begin + COUNTED + COUNTED_IF_SILENT), FIRST);
    }

    proptest! {
        /// The workers of an endpoint are busy as long as anyone waits, however many there are.
        #[test]
        fn no_worker_is_kept_idle(count in 1_usize..600, workers in 1_usize..8, millis in 1_u64..100) {
            let service = Duration::from_millis(millis);
            let (_, all) = crowd(count, workers, service);
            let best = service * u32::try_from(count.div_ceil(workers)).unwrap();
            prop_assert!(all <= best, "{all:?} instead of {best:?}");
        }

        #[test]
        fn the_limit_keeps_its_bounds(steps in prop::collection::vec((0_u64..200, any::<bool>(), any::<bool>()), 1..400)) {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            let mut released = Vec::new();
            for (millis, release, answer) in steps {
                now += Duration::from_millis(millis);
                if release && let Some(number) = pace.release(false, now) {
                    released.push(number);
                } else if let Some(number) = released.pop() {
                    if answer { pace.answered(number, now) } else { pace.ended(number) }
                }
                prop_assert!((MIN..=MAX).contains(&pace.limit));
                prop_assert!(pace.unanswered.len() <= MAX);
            }
        }
    }
}
