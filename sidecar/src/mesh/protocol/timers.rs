//! Deadlines, one a key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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

    /// Makes the key due then, and not when it was.
    pub(super) fn set(&mut self, key: K, at: Duration) {
        self.cancel(key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    /// Makes the key due then, unless it is sooner.
    pub(super) fn bring_forward(&mut self, key: K, at: Duration) {
        if self.by_key.get(&key).is_none_or(|planned| at < *planned) {
            self.set(key, at);
        }
    }

    pub(super) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the key that is due first, if its time has come.
    pub(super) fn pop(&mut self, now: Duration) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(key);
        Some(key)
    }

    pub(super) fn clear(&mut self) {
        self.by_time.clear();
        self.by_key.clear();
    }
}
