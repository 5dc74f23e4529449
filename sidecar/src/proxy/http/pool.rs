//! Idle connections to instances, by endpoint. Pure: no sockets and no clock.

use std::collections::BTreeMap;
use std::time::Instant;

/// Idle connections to one endpoint at most. Lower costs connections after a burst; higher holds more of them for nothing.
const MAX_EACH: usize = 256;

/// Idle connections at most.
const MAX: usize = 1024;

/// Idle connections by endpoint.
#[derive(Debug)]
pub(super) struct Pool<K, T> {
    idle: BTreeMap<K, Vec<Idle<T>>>,
    count: usize,
}

#[derive(Debug)]
struct Idle<T> {
    item: T,
    until: Instant,
}

impl<K, T> Default for Pool<K, T> {
    fn default() -> Self {
        Self {
            idle: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<K: Ord, T> Pool<K, T> {
    /// Whether it holds no connection.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a connection that may be idle until a time. Returns it if there are too many.
    pub(super) fn put(&mut self, key: K, item: T, until: Instant) -> Result<(), T> {
        if self.count >= MAX {
            return Err(item);
        }
        let idle = self.idle.entry(key).or_default();
        if idle.len() >= MAX_EACH {
            return Err(item);
        }
        idle.push(Idle { item, until });
        self.count += 1;
        Ok(())
    }

    /// Takes the connection to an endpoint that was used last, and may still be used.
    pub(super) fn take(&mut self, key: &K, now: Instant) -> Option<T> {
        let idle = self.idle.get_mut(key)?;
        let newest = idle.pop_if(|newest| newest.until > now)?;
        self.count -= 1;
        Some(newest.item)
    }

    /// Removes the connections that have been idle for too long, or of which `is_over` holds.
    pub(super) fn expire(&mut self, now: Instant, is_over: impl Fn(&T) -> bool) -> Vec<T> {
        let mut expired = Vec::new();
        self.idle.retain(|_, idle| {
            let gone = idle.extract_if(.., |one| one.until <= now || is_over(&one.item));
            expired.extend(gone.map(|one| one.item));
            !idle.is_empty()
        });
        self.count -= expired.len();
        expired
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use std::time::Duration;

    use super::*;

    const IDLE: Duration = Duration::from_secs(1);

    #[test]
    fn the_connection_used_last_is_used_next() {
        let now = Instant::now();
        let mut pool = Pool::default();
        for item in [1, 2] {
            pool.put("a", item, now + IDLE).unwrap();
        }
        pool.put("b", 3, now + IDLE).unwrap();
        assert_eq!(pool.take(&"a", now), Some(2));
        assert_eq!(pool.take(&"a", now), Some(1));
        assert_eq!(pool.take(&"a", now), None);
        assert_eq!(pool.take(&"b", now), Some(3));
        assert!(pool.is_empty());
    }

    #[test]
    fn a_connection_that_was_idle_for_too_long_is_not_used() {
        let now = Instant::now();
        let mut pool = Pool::default();
        pool.put("a", 1, now + IDLE).unwrap();
        assert_eq!(pool.take(&"a", now + IDLE), None);
        pool.put("a", 2, now + 2 * IDLE).unwrap();
        pool.put("b", 3, now + 2 * IDLE).unwrap();
        let mut expired = pool.expire(now + IDLE, |item| *item == 3);
        expired.sort_unstable();
        assert_eq!(expired, [1, 3]);
        assert!(!pool.is_empty());
        assert_eq!(pool.take(&"a", now + IDLE), Some(2));
    }

    #[test]
    fn the_number_of_idle_connections_is_bounded() {
        let now = Instant::now();
        let mut pool = Pool::default();
        let mut put = |(endpoint, item)| pool.put(endpoint, item, now + IDLE).is_ok();
        let kept = (0..8).flat_map(|endpoint| (0..1000).map(move |item| (endpoint, item)));
        assert_eq!(kept.filter(|one| put(*one)).count(), MAX);
    }
}
