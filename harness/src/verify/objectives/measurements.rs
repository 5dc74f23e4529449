//! Measured values, and whether they meet their objectives.

use std::collections::BTreeMap;

use super::{Objective, Unit, Value};

/// Measured values of one or more runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measurements {
    samples: BTreeMap<Objective, Vec<Sample>>,
    /// Requests that failed because they were in flight on an instance that was killed or frozen. No objective covers
    /// them.
    pub in_flight: usize,
}

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    value: Value,
    /// Whether the machine was overloaded meanwhile.
    overloaded: bool,
}

/// Summary of one objective's measured values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectiveSummary {
    /// The objective.
    pub objective: Objective,
    /// Number of measured values, at least 1.
    pub count: usize,
    /// Median.
    pub p50: Value,
    /// 99th percentile.
    pub p99: Value,
    /// Maximum.
    pub max: Value,
    /// Whether it is a time, and each value beyond the limit was measured while the machine was overloaded.
    pub overloaded: bool,
}

impl ObjectiveSummary {
    /// Whether no value exceeds the limit.
    pub fn met(&self) -> bool {
        self.max <= self.objective.limit()
    }
}

impl Measurements {
    /// Records one value.
    pub fn add(&mut self, objective: Objective, value: impl Into<Value>) {
        let sample = Sample {
            value: value.into(),
            overloaded: false,
        };
        self.samples.entry(objective).or_default().push(sample);
    }

    /// Marks all values as measured while the machine was overloaded.
    pub fn mark_overloaded(&mut self) {
        for sample in self.samples.values_mut().flatten() {
            sample.overloaded = true;
        }
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: Self) {
        for (objective, samples) in other.samples {
            self.samples.entry(objective).or_default().extend(samples);
        }
        self.in_flight += other.in_flight;
    }

    /// The summary of one objective; `None` if it was not measured.
    pub fn summary(&self, objective: Objective) -> Option<ObjectiveSummary> {
        let samples = self.samples.get(&objective)?;
        let mut sorted: Vec<Value> = samples.iter().map(|sample| sample.value).collect();
        sorted.sort_unstable();
        let mut late = samples.iter().filter(|sample| sample.value > objective.limit());
        Some(ObjectiveSummary {
            objective,
            count: sorted.len(),
            p50: percentile(&sorted, 50)?,
            p99: percentile(&sorted, 99)?,
            max: *sorted.last()?,
            overloaded: objective.unit() == Unit::Time
                && late.clone().next().is_some()
                && late.all(|sample| sample.overloaded),
        })
    }

    /// The summaries of all measured objectives, in the order of [`Objective::ALL`].
    pub fn summaries(&self) -> Vec<ObjectiveSummary> {
        Objective::ALL
            .into_iter()
            .filter_map(|objective| self.summary(objective))
            .collect()
    }

    /// The measured objectives that were not met.
    pub fn missed(&self) -> Vec<ObjectiveSummary> {
        let mut summaries = self.summaries();
        summaries.retain(|summary| !summary.met());
        summaries
    }
}

/// The nearest-rank percentile: the smallest value that at least `percent` % of the values do not exceed.
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
            measured.add(Objective::Join, Duration::from_millis(sample));
        }
        measured
    }

    #[test]
    fn percentiles_are_measured_values_even_of_small_samples() {
        let of = |samples: &[u64]| {
            let summary = joins(samples).summary(Objective::Join).unwrap();
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
    fn one_value_above_the_limit_misses_the_objective() {
        assert!(joins(&[100, 500]).summary(Objective::Join).unwrap().met());
        let mut missed = joins(&[100, 501, 100]);
        assert!(!missed.summary(Objective::Join).unwrap().met());
        missed.add(Objective::FailedOnStop, 0_usize);
        let names: Vec<Objective> = missed.missed().iter().map(|summary| summary.objective).collect();
        assert_eq!(names, [Objective::Join]);
        missed.add(Objective::FailedOnStop, 1_usize);
        assert_eq!(missed.missed().len(), 2);
    }

    #[test]
    fn an_overloaded_machine_explains_late_times_that_were_measured_on_it() {
        let overloaded = |measured: &Measurements, objective| measured.summary(objective).unwrap().overloaded;
        let mut measured = joins(&[100, 501]);
        measured.add(Objective::FailedOnStop, 1_usize);
        measured.mark_overloaded();
        measured.add(Objective::Join, Duration::from_millis(100));
        assert!(overloaded(&measured, Objective::Join));
        assert!(!overloaded(&measured, Objective::FailedOnStop), "not a time");
        measured.merge(joins(&[501]));
        assert!(
            !overloaded(&measured, Objective::Join),
            "one was late on a quiet machine"
        );
        let mut met = joins(&[100]);
        met.mark_overloaded();
        assert!(!overloaded(&met, Objective::Join), "nothing was late");
    }

    #[test]
    fn one_microsecond_above_the_limit_misses_the_objective() {
        let mut measured = Measurements::default();
        measured.add(Objective::Ready, Duration::from_micros(2_000_001));
        assert_eq!(measured.missed().len(), 1);
    }

    #[test]
    fn an_objective_that_was_not_measured_is_neither_met_nor_missed() {
        let measured = Measurements::default();
        assert!(
            Objective::ALL
                .iter()
                .all(|objective| measured.summary(*objective).is_none())
        );
        assert!(measured.summaries().is_empty() && measured.missed().is_empty());
    }

    #[test]
    fn measurements_of_several_runs_are_merged() {
        let mut all = joins(&[1, 2]);
        let mut second = joins(&[3]);
        second.in_flight = 4;
        all.merge(second.clone());
        all.merge(second);
        assert_eq!(
            (all.summary(Objective::Join).unwrap().count, all.in_flight),
            (4, 8)
        );
    }
}
