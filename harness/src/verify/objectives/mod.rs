//! The service-level objectives that the suite measures, with their limits. Pure.

mod measurements;

use std::fmt;
use std::time::Duration;

pub use self::measurements::{Measurements, ObjectiveSummary};

const MEGABYTE: u64 = 1_000_000;

/// A service-level objective of the mesh: the quantity measured and the limit that it must not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objective {
    /// Time from the last container's start until every instance has answered on every path.
    Ready,
    /// Time from the harness's start until the mesh is ready, with the image cached.
    Up,
    /// Time from a new instance's start until its first answer.
    Join,
    /// Time from a new instance's start until it has an equal share of all requests, although no client connects again.
    Share,
    /// Failed requests while an instance stops gracefully.
    FailedOnStop,
    /// Failed requests while all service instances are restarted one after the other.
    FailedOnRollingRestart,
    /// Failed requests while an instance is added and removed.
    FailedOnScale,
    /// Time from an instance's kill until the last failed request ended.
    KillToLastError,
    /// Time from an instance's freeze until the last failed request ended.
    FreezeToLastError,
    /// Time from the end of a partition until all views agree again.
    HealToConvergence,
    /// Time from a stopped instance's restart until its first answer.
    Rejoin,
    /// Resident memory of one idle sidecar.
    Memory,
    /// Size of the image of all containers.
    Image,
}

/// The unit of an objective's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Time,
    /// Number of requests.
    Requests,
    /// KiB of memory.
    Memory,
    /// Bytes of storage.
    Size,
}

/// One value, in its objective's [`Unit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub u64);

impl Objective {
    /// Every objective, in the order in which reports show them.
    pub const ALL: [Self; 13] = [
        Self::Ready,
        Self::Up,
        Self::Join,
        Self::Share,
        Self::FailedOnStop,
        Self::FailedOnRollingRestart,
        Self::FailedOnScale,
        Self::KillToLastError,
        Self::FreezeToLastError,
        Self::HealToConvergence,
        Self::Rejoin,
        Self::Memory,
        Self::Image,
    ];

    /// The name in machine-readable reports.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Up => "up",
            Self::Join => "join",
            Self::Share => "share",
            Self::FailedOnStop => "failed_on_stop",
            Self::FailedOnRollingRestart => "failed_on_rolling_restart",
            Self::FailedOnScale => "failed_on_scale",
            Self::KillToLastError => "kill_to_last_error",
            Self::FreezeToLastError => "freeze_to_last_error",
            Self::HealToConvergence => "heal_to_convergence",
            Self::Rejoin => "rejoin",
            Self::Memory => "memory",
            Self::Image => "image",
        }
    }

    /// The name in tables, at most 24 characters, so that a row fits a terminal of 80 columns.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "last start -> all answer",
            Self::Up => "harness start -> ready",
            Self::Join => "new instance -> answers",
            Self::Share => "new instance -> share",
            Self::FailedOnStop => "failed: graceful stop",
            Self::FailedOnRollingRestart => "failed: rolling restart",
            Self::FailedOnScale => "failed: scaling",
            Self::KillToLastError => "killed -> last error",
            Self::FreezeToLastError => "frozen -> last error",
            Self::HealToConvergence => "healed -> views agree",
            Self::Rejoin => "restarted -> answers",
            Self::Memory => "memory of idle sidecar",
            Self::Image => "image size",
        }
    }

    /// The unit of its values.
    pub fn unit(self) -> Unit {
        match self {
            Self::FailedOnStop | Self::FailedOnRollingRestart | Self::FailedOnScale => Unit::Requests,
            Self::Memory => Unit::Memory,
            Self::Image => Unit::Size,
            Self::Ready
            | Self::Up
            | Self::Join
            | Self::Share
            | Self::KillToLastError
            | Self::FreezeToLastError
            | Self::HealToConvergence
            | Self::Rejoin => Unit::Time,
        }
    }

    /// The largest value that meets the objective.
    pub fn limit(self) -> Value {
        match self {
            Self::Ready | Self::Rejoin => Duration::from_secs(2).into(),
            Self::Up => Duration::from_secs(6).into(),
            Self::Share => Duration::from_secs(1).into(),
            Self::Join | Self::KillToLastError => Duration::from_millis(500).into(),
            Self::FailedOnStop | Self::FailedOnRollingRestart | Self::FailedOnScale => Value(0),
            Self::FreezeToLastError | Self::HealToConvergence => Duration::from_secs(3).into(),
            Self::Memory => Value(9 * 1024),
            Self::Image => Value(10 * MEGABYTE),
        }
    }

    /// The reference implementation's value on the same kind of machine, if known.
    pub fn reference(self) -> Option<&'static str> {
        match self {
            Self::Ready => Some("11.6 s"),
            Self::Memory => Some("66 to 76 MiB"),
            _ => None,
        }
    }

    /// A value with its unit, as text.
    pub fn shown(self, value: Value) -> String {
        self.unit().shown(value)
    }

    /// The limit as text, without needless decimals.
    pub fn limit_text(self) -> String {
        const SECOND: u64 = 1_000_000;
        match (self.unit(), self.limit()) {
            (_, Value(0)) => "0".to_owned(),
            (Unit::Time, Value(limit)) if limit % SECOND == 0 => format!("{} s", limit / SECOND),
            (Unit::Size, Value(limit)) if limit % MEGABYTE == 0 => format!("{} MB", limit / MEGABYTE),
            (Unit::Memory, Value(limit)) if limit % 1024 == 0 => format!("{} MiB", limit / 1024),
            (_, limit) => self.shown(limit),
        }
    }
}

impl Unit {
    /// A value with this unit, as text. Times below one second are rounded up to milliseconds.
    pub fn shown(self, Value(value): Value) -> String {
        match self {
            Self::Time if value < 1_000_000 => format!("{} ms", value.div_ceil(1000)),
            Self::Time => crate::console::seconds(Duration::from_micros(value)),
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
        assert_eq!(Objective::Join.shown(Duration::from_millis(120).into()), "120 ms");
        assert_eq!(Objective::Join.shown(Duration::from_micros(1).into()), "1 ms");
        assert_eq!(
            Objective::Ready.shown(Duration::from_millis(1234).into()),
            "1.23 s"
        );
        assert_eq!(Objective::Ready.shown(Duration::from_secs(12).into()), "12.0 s");
        assert_eq!(Objective::FailedOnStop.shown(0_usize.into()), "0");
        assert_eq!(Objective::Memory.shown(Objective::Memory.limit()), "9.0 MiB");
        assert_eq!(Objective::Memory.shown(Value(3_500)), "3.4 MiB");
        assert_eq!(Objective::Image.shown(Value(5_984_321)), "5.98 MB");
        assert_eq!(Objective::Image.shown(Value(6_050_000)), "6.05 MB");
        let limits = [
            Objective::Ready,
            Objective::Join,
            Objective::FailedOnStop,
            Objective::Memory,
            Objective::Image,
        ]
        .map(Objective::limit_text);
        assert_eq!(limits, ["2 s", "500 ms", "0", "9 MiB", "10 MB"]);
    }

    #[test]
    fn objective_names_are_unique() {
        let keys: std::collections::BTreeSet<&str> =
            Objective::ALL.iter().map(|objective| objective.key()).collect();
        let names: std::collections::BTreeSet<&str> =
            Objective::ALL.iter().map(|objective| objective.name()).collect();
        assert_eq!(
            (keys.len(), names.len()),
            (Objective::ALL.len(), Objective::ALL.len())
        );
    }
}
