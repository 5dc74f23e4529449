//! Failed attempts to connect to servers, by reason, and failovers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why an attempt to connect failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The address refuses connections.
    Refused,
    /// No answer before the timeout.
    TimedOut,
    /// There is no route, or the connection failed while it was being established.
    Unreachable,
    /// This process or the system has no descriptor, memory or local port left.
    OutOfRoom,
}

impl Failure {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Refused, Self::TimedOut, Self::Unreachable, Self::OutOfRoom];

    /// The value of the `reason` label in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::OutOfRoom => "out_of_room",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed out",
            Self::Unreachable => "unreachable",
            Self::OutOfRoom => "not tried for lack of descriptors, memory or ports",
        })
    }
}

/// A snapshot of failed attempts by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures([u64; Failure::ALL.len()]);

impl Failures {
    /// Attempts that failed for this reason.
    #[must_use]
    pub fn of(&self, failure: Failure) -> u64 {
        self.0[failure as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::ALL.into_iter().zip(self.0)
    }
}

/// Failed attempts to connect to a server, or to the servers of a group. [`Totals::connections`](super::Totals::connections)
/// counts the successful ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connects {
    /// Attempts that failed.
    pub failed: Failures,
    /// Failed attempts after which the connection went on to another candidate.
    pub failovers: u64,
}

/// Collects [`Connects`].
#[derive(Debug, Default)]
pub(super) struct ConnectFailureCounters {
    failed: [AtomicU64; Failure::ALL.len()],
    failovers: AtomicU64,
}

impl ConnectFailureCounters {
    pub(super) fn failed(&self, failure: Failure) {
        self.failed[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed_over(&self) {
        self.failovers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Connects {
        Connects {
            failed: Failures(self.failed.each_ref().map(|count| count.load(Ordering::Relaxed))),
            failovers: self.failovers.load(Ordering::Relaxed),
        }
    }
}
