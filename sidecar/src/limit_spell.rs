//! Limits that are reached: counted, and logged once a spell. Pure: the time is passed in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time without meeting the limit after which the next time begins another spell. Lower logs more often under load that
/// comes and goes.
const QUIET: Duration = Duration::from_secs(10);

/// How often a limit was reached, and whether it is at present.
#[derive(Debug)]
pub(crate) struct LimitSpell {
    count: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl LimitSpell {
    pub(crate) const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }

    /// Notes that the limit was reached. Returns whether this begins a spell, and is to be logged.
    pub(crate) fn reached(&self, now: Instant) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(now);
        before.is_none_or(|before| now.saturating_duration_since(before) >= QUIET)
    }

    /// How often the limit was reached.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_is_logged_once_however_long_it_lasts() {
        let (spell, begin) = (LimitSpell::new(), Instant::now());
        assert!(spell.reached(begin));
        for second in 1..100 {
            assert!(!spell.reached(begin + Duration::from_secs(second)));
        }
        let end = begin + Duration::from_secs(99);
        assert!(!spell.reached(end + QUIET - Duration::from_millis(1)));
        assert!(spell.reached(end + QUIET * 2));
        assert_eq!(spell.count(), 102);
    }
}
