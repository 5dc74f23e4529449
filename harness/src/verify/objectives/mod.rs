//! What is promised of the mesh, and what was measured of it: pure.

mod measurements;

use std::fmt;
use std::time::Duration;

pub use self::measurements::{Measurements, Summary};

const MEGABYTE: u64 = 1_000_000;

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
    /// Size of the image of all containers.
    Image,
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
    /// What is stored, in bytes.
    Size,
}

/// One measured value, in its promise's [`Unit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub u64);

impl Promise {
    /// Every promise, in the order in which they are shown.
    pub const ALL: [Self; 12] = [
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
        Self::Image,
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
            Self::Image => "image",
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
            Self::Image => "size of the image",
        }
    }

    /// What its values count.
    pub fn unit(self) -> Unit {
        match self {
            Self::FailedOnStop | Self::FailedOnRollingRestart | Self::FailedOnScale => Unit::Requests,
            Self::Memory => Unit::Memory,
            Self::Image => Unit::Size,
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
            // It has some 6 MB where the linker keeps equal functions once.
            Self::Image => Value(8 * MEGABYTE),
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
            (Unit::Size, Value(limit)) if limit % MEGABYTE == 0 => format!("at most {} MB", limit / MEGABYTE),
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
            Self::Size => format!("{}.{:02} MB", value / MEGABYTE, value % MEGABYTE * 100 / MEGABYTE),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "us",
            Self::Requests => "requests",
            Self::Memory => "KiB",
            Self::Size => "bytes",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_their_units() {
        assert_eq!(Promise::Join.shown(Duration::from_millis(120).into()), "120 ms");
        assert_eq!(Promise::Join.shown(Duration::from_micros(1).into()), "1 ms");
        assert_eq!(Promise::Ready.shown(Duration::from_millis(1234).into()), "1.23 s");
        assert_eq!(Promise::Ready.shown(Duration::from_secs(12).into()), "12.0 s");
        assert_eq!(Promise::FailedOnStop.shown(0_usize.into()), "0");
        assert_eq!(Promise::Memory.shown(Promise::Memory.limit()), "8.0 MiB");
        assert_eq!(Promise::Memory.shown(Value(3_500)), "3.4 MiB");
        assert_eq!(Promise::Image.shown(Value(5_984_321)), "5.98 MB");
        assert_eq!(Promise::Image.shown(Value(6_050_000)), "6.05 MB");
        let promised = [
            Promise::Ready,
            Promise::Join,
            Promise::FailedOnStop,
            Promise::Memory,
            Promise::Image,
        ]
        .map(Promise::promised);
        assert_eq!(
            promised,
            [
                "at most 2 s",
                "at most 500 ms",
                "none",
                "at most 8 MiB",
                "at most 8 MB"
            ]
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
