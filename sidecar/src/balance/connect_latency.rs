//! Latency of successful attempts to connect: a histogram with fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, inclusive: from half a millisecond, an answer from the same network, to 4 seconds,
/// the limit for connecting a client. One more bucket counts longer attempts.
pub const CONNECT_TIME_BOUNDS: [Duration; 13] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

const BUCKETS: usize = CONNECT_TIME_BOUNDS.len() + 1;

/// A snapshot of the latencies of successful attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectTimes {
    buckets: [u64; BUCKETS],
    nanos: u64,
}

impl ConnectTimes {
    /// For each bound, the attempts that took at most that long; the last element, without a bound, counts all
    /// attempts.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = CONNECT_TIME_BOUNDS.into_iter().map(Some).chain([None]);
        let sums = self.buckets.into_iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.zip(sums)
    }

    /// Number of attempts.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of their latencies.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

/// Collects [`ConnectTimes`].
#[derive(Debug, Default)]
pub(super) struct ConnectLatency {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl ConnectLatency {
    pub(super) fn observe(&self, took: Duration) {
        let bucket = CONNECT_TIME_BOUNDS.partition_point(|bound| *bound < took);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ConnectTimes {
        ConnectTimes {
            buckets: self.buckets.each_ref().map(|count| count.load(Ordering::Relaxed)),
            nanos: self.nanos.load(Ordering::Relaxed),
        }
    }
}
