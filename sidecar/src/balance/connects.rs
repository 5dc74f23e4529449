//! How connecting to servers went: what failed and why, and how often that cost nothing but another try.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why an attempt to connect failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// There is no way there, or the connection broke while it was made.
    Unreachable,
    /// We have no descriptor, memory or port left for it.
    OutOfRoom,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Refused, Self::TimedOut, Self::Unreachable, Self::OutOfRoom];

    /// The word for it where counts are labelled.
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
            Self::OutOfRoom => "not tried for lack of room",
        })
    }
}

/// Failed attempts by reason, as counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures([u64; Failure::ALL.len()]);

impl Failures {
    /// Those that failed for this reason.
    #[must_use]
    pub fn of(&self, failure: Failure) -> u64 {
        self.0[failure as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::ALL.into_iter().zip(self.0)
    }
}

/// What went wrong while connecting to a server, or to the servers of a group; what went well is
/// [`Totals::connections`](super::Totals::connections).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connects {
    /// Attempts that failed.
    pub failed: Failures,
    /// Of these, the ones after which the connection went on to another candidate.
    pub failovers: u64,
}

/// [`Connects`] as they happen.
#[derive(Debug, Default)]
pub(super) struct ConnectCounters {
    failed: [AtomicU64; Failure::ALL.len()],
    failovers: AtomicU64,
}

impl ConnectCounters {
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
