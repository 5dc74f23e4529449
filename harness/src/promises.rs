//! What is promised of the mesh, and what was measured of it: pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Something that is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// From the last container's start until every instance has answered on every path.
    Ready,
    /// From this program's start until the mesh is ready, where the image is there already.
    Up,
    /// From a new instance's start until its first answer.
    Join,
    /// Requests that failed while an instance was stopped gracefully.
    FailedOnStop,
    /// Requests that failed while all service instances were restarted, one after the other.
    FailedOnRollingRestart,
    /// Requests that failed while an instance was added and removed.
    FailedOnScale,
    /// From an instance's kill until the last failed request ended.
    KillToLastError,
    /// From an instance's standstill until the last failed request ended.
    FreezeToLastError,
    /// From the end of a partition until all views agree again.
    HealToAgreement,
    /// From when a stopped instance runs again until it answers.
    Rejoin,
    /// Resident memory of one idle sidecar.
    Memory,
}

/// What the values of a promise count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A time, in microseconds.
    Time,
    /// Requests.
    Requests,
    /// Memory, in KiB.
    Memory,
}

/// One measured value, in its promise's [`Unit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub u64);

impl Promise {
    /// Every promise, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Ready,
        Self::Up,
        Self::Join,
        Self::FailedOnStop,
        Self::FailedOnRollingRestart,
        Self::FailedOnScale,
        Self::KillToLastError,
        Self::FreezeToLastError,
        Self::HealToAgreement,
        Self::Rejoin,
        Self::Memory,
    ];

    /// Its name for programs.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Up => "up",
            Self::Join => "join",
            Self::FailedOnStop => "failed_on_stop",
            Self::FailedOnRollingRestart => "failed_on_rolling_restart",
            Self::FailedOnScale => "failed_on_scale",
            Self::KillToLastError => "kill_to_last_error",
            Self::FreezeToLastError => "freeze_to_last_error",
            Self::HealToAgreement => "heal_to_agreement",
            Self::Rejoin => "rejoin",
            Self::Memory => "memory",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "last container started -> all instances answer on every path",
            Self::Up => "program started -> ready, image cached",
            Self::Join => "instance added -> its first answer",
            Self::FailedOnStop => "failed during a graceful stop",
            Self::FailedOnRollingRestart => "failed during a rolling restart",
            Self::FailedOnScale => "failed while scaling up and down",
            Self::KillToLastError => "instance killed -> last error",
            Self::FreezeToLastError => "instance frozen -> last error",
            Self::HealToAgreement => "partition healed -> all views agree",
            Self::Rejoin => "instance runs again -> it answers",
            Self::Memory => "resident memory of an idle sidecar",
        }
    }

    /// What its values count.
    pub fn unit(self) -> Unit {
        match self {
            Self::FailedOnStop | Self::FailedOnRollingRestart | Self::FailedOnScale => Unit::Requests,
            Self::Memory => Unit::Memory,
            Self::Ready
            | Self::Up
            | Self::Join
            | Self::KillToLastError
            | Self::FreezeToLastError
            | Self::HealToAgreement
            | Self::Rejoin => Unit::Time,
        }
    }

    /// The largest value that keeps it.
    pub fn limit(self) -> Value {
        match self {
            Self::Ready | Self::Rejoin => Duration::from_secs(2).into(),
            Self::Up => Duration::from_secs(6).into(),
            Self::Join | Self::KillToLastError => Duration::from_millis(500).into(),
            Self::FailedOnStop | Self::FailedOnRollingRestart | Self::FailedOnScale => Value(0),
            Self::FreezeToLastError | Self::HealToAgreement => Duration::from_secs(3).into(),
            Self::Memory => Value(8 * 1024),
        }
    }

    /// The reference implementation's figure on the same kind of machine, where it is known.
    pub fn reference(self) -> Option<&'static str> {
        match self {
            Self::Ready => Some("11.6 s"),
            Self::Memory => Some("66 to 76 MiB"),
            _ => None,
        }
    }

    /// A value with its unit, for people.
    pub fn shown(self, value: Value) -> String {
        self.unit().shown(value)
    }

    /// What is promised, for people: `none`, or `at most` so much.
    pub fn promised(self) -> String {
        const SECOND: u64 = 1_000_000;
        match (self.unit(), self.limit()) {
            (_, Value(0)) => "none".to_owned(),
            (Unit::Time, Value(limit)) if limit % SECOND == 0 => format!("at most {} s", limit / SECOND),
            (Unit::Memory, Value(limit)) if limit % 1024 == 0 => format!("at most {} MiB", limit / 1024),
            (_, limit) => format!("at most {}", self.shown(limit)),
        }
    }
}

impl Unit {
    /// A value with this unit, for people.
    pub fn shown(self, Value(value): Value) -> String {
        match self {
            // A thousandth of a second is the finest that is of interest.
            Self::Time if value < 1_000_000 => format!("{} ms", value.div_ceil(1000)),
            Self::Time => crate::report::seconds(Duration::from_micros(value)),
            Self::Requests => value.to_string(),
            Self::Memory => format!("{}.{} MiB", value / 1024, (value % 1024) * 10 / 1024),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "us",
            Self::Requests => "requests",
            Self::Memory => "KiB",
        })
    }
}

impl From<Duration> for Value {
    /// Whole microseconds.
    fn from(time: Duration) -> Self {
        Self(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

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

    #[test]
    fn values_are_shown_with_their_units() {
        assert_eq!(Promise::Join.shown(Duration::from_millis(120).into()), "120 ms");
        assert_eq!(Promise::Join.shown(Duration::from_micros(1).into()), "1 ms");
        assert_eq!(Promise::Ready.shown(Duration::from_millis(1234).into()), "1.23 s");
        assert_eq!(Promise::Ready.shown(Duration::from_secs(12).into()), "12.0 s");
        assert_eq!(Promise::FailedOnStop.shown(0_usize.into()), "0");
        assert_eq!(Promise::Memory.shown(Promise::Memory.limit()), "8.0 MiB");
        assert_eq!(Promise::Memory.shown(Value(3_500)), "3.4 MiB");
        let promised = [
            Promise::Ready,
            Promise::Join,
            Promise::FailedOnStop,
            Promise::Memory,
        ]
        .map(Promise::promised);
        assert_eq!(
            promised,
            ["at most 2 s", "at most 500 ms", "none", "at most 8 MiB"]
        );
    }

    #[test]
    fn every_promise_has_a_name_of_its_own() {
        let keys: std::collections::BTreeSet<&str> =
            Promise::ALL.iter().map(|promise| promise.key()).collect();
        let names: std::collections::BTreeSet<&str> =
            Promise::ALL.iter().map(|promise| promise.name()).collect();
        assert_eq!(
            (keys.len(), names.len()),
            (Promise::ALL.len(), Promise::ALL.len())
        );
    }
}
