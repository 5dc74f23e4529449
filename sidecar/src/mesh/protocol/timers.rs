//! Deadlines, at most one for each key, and the randomness of pauses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

/// A set of keys, each with the time at which it is due.
#[derive(Debug)]
pub(super) struct Timers<K> {
    by_time: BTreeSet<(Duration, K)>,
    by_key: BTreeMap<K, Duration>,
}

impl<K: Copy + Ord> Timers<K> {
    pub(super) fn new() -> Self {
        Self {
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
        }
    }

    /// Sets the time of a key, in place of an earlier one.
    pub(super) fn set(&mut self, key: K, at: Duration) {
        self.cancel(key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    /// Unsets a key.
    pub(super) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// Whether a key has a time.
    pub(super) fn is_set(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the first key, if its time has come.
    pub(super) fn pop(&mut self, now: Duration) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(key);
        Some(key)
    }
}

/// This time, shortened or extended by at most that share of it, so that nodes do not act in step.
pub(super) fn jittered(rng: &mut StdRng, time: Duration, share: f64) -> Duration {
    time.mul_f64(rng.random_range(1.0 - share..1.0 + share))
}

/// A random moment of this period, uniformly distributed.
pub(super) fn within(rng: &mut StdRng, period: Duration) -> Duration {
    period.mul_f64(rng.random_range(0.0..1.0))
}
