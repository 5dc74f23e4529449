//! The measured values of promises, and whether they keep them.

use std::collections::BTreeMap;

use super::{Promise, Value};

/// What was measured, of one run or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measurements {
    samples: BTreeMap<Promise, Vec<Value>>,
    /// Requests that failed because they were under way on an instance that was killed or frozen. Nothing is
    /// promised of them.
    pub in_flight: usize,
}

/// The measured values of one promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The promise.
    pub promise: Promise,
    /// How often it was measured, at least once.
    pub count: usize,
    /// The value that half of them do not exceed.
    pub p50: Value,
    /// The value that 99 of 100 do not exceed.
    pub p99: Value,
    /// The largest.
    pub max: Value,
}

impl Summary {
    /// Whether no value exceeds what is promised.
    pub fn kept(&self) -> bool {
        self.max <= self.promise.limit()
    }
}

impl Measurements {
    /// Notes one value.
    pub fn add(&mut self, promise: Promise, value: impl Into<Value>) {
        self.samples.entry(promise).or_default().push(value.into());
    }

    /// Takes over all of another.
    pub fn merge(&mut self, other: Self) {
        for (promise, samples) in other.samples {
            self.samples.entry(promise).or_default().extend(samples);
        }
        self.in_flight += other.in_flight;
    }

    /// What was measured of one promise; none where nothing was.
    pub fn summary(&self, promise: Promise) -> Option<Summary> {
        let mut sorted = self.samples.get(&promise)?.clone();
        sorted.sort_unstable();
        Some(Summary {
            promise,
            count: sorted.len(),
            p50: percentile(&sorted, 50)?,
            p99: percentile(&sorted, 99)?,
            max: *sorted.last()?,
        })
    }

    /// What was measured, in the order of [`Promise::ALL`].
    pub fn summaries(&self) -> Vec<Summary> {
        Promise::ALL
            .into_iter()
            .filter_map(|promise| self.summary(promise))
            .collect()
    }

    /// The promises that were measured and not kept.
    pub fn broken(&self) -> Vec<Summary> {
        let mut summaries = self.summaries();
        summaries.retain(|summary| !summary.kept());
        summaries
    }
}

/// The smallest value that `percent` of 100 values do not exceed.
fn percentile(sorted: &[Value], percent: usize) -> Option<Value> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn joins(milliseconds: &[u64]) -> Measurements {
        let mut measured = Measurements::default();
        for &sample in milliseconds {
            measured.add(Promise::Join, Duration::from_millis(sample));
        }
        measured
    }

    #[test]
    fn percentiles_of_few_values_are_values_that_were_measured() {
        let of = |samples: &[u64]| {
            let summary = joins(samples).summary(Promise::Join).unwrap();
            let values = [summary.p50, summary.p99, summary.max];
            (summary.count, values.map(|value| value.0 / 1000))
        };
        assert_eq!(of(&[7]), (1, [7, 7, 7]));
        assert_eq!(of(&[9, 1]), (2, [1, 9, 9]));
        assert_eq!(of(&[3, 1, 2]), (3, [2, 3, 3]));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), (100, [50, 99, 100]));
        let more: Vec<u64> = (1..=101).collect();
        assert_eq!(of(&more), (101, [51, 100, 101]));
    }

    #[test]
    fn one_value_above_the_limit_breaks_a_promise() {
        assert!(joins(&[100, 500]).summary(Promise::Join).unwrap().kept());
        let mut broken = joins(&[100, 501, 100]);
        assert!(!broken.summary(Promise::Join).unwrap().kept());
        broken.add(Promise::FailedOnStop, 0_usize);
        let names: Vec<Promise> = broken.broken().iter().map(|summary| summary.promise).collect();
        assert_eq!(names, [Promise::Join]);
        broken.add(Promise::FailedOnStop, 1_usize);
        assert_eq!(broken.broken().len(), 2);
    }

    #[test]
    fn a_limit_is_exceeded_by_a_microsecond() {
        let mut measured = Measurements::default();
        measured.add(Promise::Ready, Duration::from_micros(2_000_001));
        assert_eq!(measured.broken().len(), 1);
    }

    #[test]
    fn nothing_measured_is_neither_kept_nor_broken() {
        let measured = Measurements::default();
        assert!(
            Promise::ALL
                .iter()
                .all(|promise| measured.summary(*promise).is_none())
        );
        assert!(measured.summaries().is_empty() && measured.broken().is_empty());
    }

    #[test]
    fn many_runs_add_up() {
        let mut all = joins(&[1, 2]);
        let mut second = joins(&[3]);
        second.in_flight = 4;
        all.merge(second.clone());
        all.merge(second);
        assert_eq!((all.summary(Promise::Join).unwrap().count, all.in_flight), (4, 8));
    }
}
