//! Histograms of latencies, with fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of a histogram's buckets, inclusive. One more bucket counts what took longer.
type Bounds = [Duration; 13];

/// For successful attempts to connect: from half a millisecond, an answer from the same network, to 4 seconds, the limit
/// for connecting a client.
pub const CONNECT_TIME_BOUNDS: Bounds = [
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

/// For HTTP requests: from a millisecond to a minute, after which most clients have given up.
pub const REQUEST_TIME_BOUNDS: Bounds = [
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
    Duration::from_millis(2_500),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

const BUCKETS: usize = CONNECT_TIME_BOUNDS.len() + 1;

/// A snapshot of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    bounds: &'static Bounds,
    buckets: [u64; BUCKETS],
    nanos: u64,
}

impl Latencies {
    /// For each bound, how many took at most that long; the last element, without a bound, counts all.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        let sums = self.buckets.into_iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.zip(sums)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

/// Collects [`Latencies`].
#[derive(Debug)]
pub(super) struct LatencyCounters {
    bounds: &'static Bounds,
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl LatencyCounters {
    pub(super) fn new(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            buckets: Default::default(),
            nanos: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, took: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < took);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Latencies {
        Latencies {
            bounds: self.bounds,
            buckets: self.buckets.each_ref().map(|count| count.load(Ordering::Relaxed)),
            nanos: self.nanos.load(Ordering::Relaxed),
        }
    }
}
