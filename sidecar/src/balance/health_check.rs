//! The configuration of health checks, their outcomes, and how many had which.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Configuration of a group's health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckConfig {
    /// Timeout of a check, and of an attempt to connect for a client.
    pub timeout: Duration,
    /// Time from the start of one check to the start of the next.
    pub period: Duration,
    /// Consecutive passed checks after which a server that is down is up; 0 counts as 1.
    pub up: u32,
    /// Consecutive failed checks after which a server that is up is down; 0 counts as 1.
    pub down: u32,
}

/// Outcome of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The server answered.
    Passed,
    /// Its machine refused the connection: nothing listens on the port.
    Refused,
    /// It did not answer in time or could not be reached.
    Failed,
}

/// A snapshot of a server's health checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checks {
    /// Passed checks.
    pub passed: u64,
    /// Failed checks.
    pub failed: u64,
    /// Checks that could not be made, for a fault of ours: they say nothing about the server.
    pub not_made: u64,
}

/// Collects [`Checks`].
#[derive(Debug, Default)]
pub(super) struct CheckCounters {
    passed: AtomicU64,
    failed: AtomicU64,
    not_made: AtomicU64,
}

impl CheckCounters {
    pub(super) fn count(&self, outcome: CheckOutcome) {
        match outcome {
            CheckOutcome::Passed => &self.passed,
            CheckOutcome::Refused | CheckOutcome::Failed => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_not_made(&self) {
        self.not_made.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Checks {
        Checks {
            passed: self.passed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            not_made: self.not_made.load(Ordering::Relaxed),
        }
    }
}
