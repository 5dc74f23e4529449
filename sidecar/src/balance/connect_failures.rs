//! Failed attempts to connect to servers, by reason, and failovers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::fault::Fault;

/// A snapshot of failed attempts by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures([u64; Fault::LABELS.len()]);

impl Failures {
    /// Attempts that failed for this reason; all shortages of ours together.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault.index()]
    }

    /// Every reason, as a label, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Fault::LABELS.into_iter().zip(self.0)
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
    failed: [AtomicU64; Fault::LABELS.len()],
    failovers: AtomicU64,
}

impl ConnectFailureCounters {
    pub(super) fn failed(&self, fault: Fault) {
        self.failed[fault.index()].fetch_add(1, Ordering::Relaxed);
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
