//! Whether a server is up, from the outcomes of its health checks.

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

/// One server's health.
#[derive(Debug)]
pub(super) struct Health {
    up: bool,
    /// Not checked yet, and not announced by the mesh: the first outcome alone decides.
    unchecked: bool,
    /// Consecutive outcomes that contradict the current state.
    contrary: u32,
}

impl Health {
    /// Down until its first check passes.
    pub(super) fn unchecked() -> Self {
        Self {
            up: false,
            unchecked: true,
            contrary: 0,
        }
    }

    /// Up because the mesh announces it.
    pub(super) fn announced() -> Self {
        Self {
            up: true,
            unchecked: false,
            contrary: 0,
        }
    }

    /// As another process of the sidecar knew it.
    pub(super) fn resumed(up: bool) -> Self {
        Self {
            up,
            unchecked: false,
            contrary: 0,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Whether it is up; `None` before the first check.
    pub(super) fn known(&self) -> Option<bool> {
        (!self.unchecked).then_some(self.up)
    }

    /// Records an outcome. Returns whether the server is up, if that changed.
    pub(super) fn observe(&mut self, outcome: CheckOutcome, config: &CheckConfig) -> Option<bool> {
        let passed = outcome == CheckOutcome::Passed;
        if passed == self.up {
            self.contrary = 0;
            self.unchecked = false;
            return None;
        }
        self.contrary = self.contrary.saturating_add(1);
        let needed = match (self.unchecked, passed) {
            (true, _) => 1,
            (false, true) => config.up,
            (false, false) => config.down,
        };
        self.unchecked = false;
        if self.contrary < needed {
            return None;
        }
        self.up = passed;
        self.contrary = 0;
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CheckOutcome::{Failed, Passed};
    use proptest::prelude::*;

    fn config(up: u32, down: u32) -> CheckConfig {
        CheckConfig {
            timeout: Duration::from_millis(500),
            period: Duration::from_secs(1),
            up,
            down,
        }
    }

    #[test]
    fn the_first_check_alone_decides() {
        let mut health = Health::unchecked();
        assert!(!health.is_up());
        assert_eq!(health.observe(Passed, &config(2, 3)), Some(true));

        let mut health = Health::unchecked();
        assert_eq!(health.observe(Failed, &config(2, 3)), None);
        assert_eq!(
            health.observe(Passed, &config(2, 3)),
            None,
            "the second check is subject to `up`"
        );
        assert_eq!(health.observe(Passed, &config(2, 3)), Some(true));
    }

    #[test]
    fn an_announced_server_is_up_until_enough_checks_fail_in_a_row() {
        let mut health = Health::announced();
        for outcome in [Failed, Failed, Passed, Failed, Failed] {
            assert_eq!(health.observe(outcome, &config(2, 3)), None);
        }
        assert_eq!(health.observe(Failed, &config(2, 3)), Some(false));
    }

    proptest! {
        /// The state follows the last run of equal outcomes that was long enough.
        #[test]
        fn the_state_changes_exactly_at_the_threshold(
            outcomes in prop::collection::vec(any::<bool>(), 1..200), up in 0u32..5, down in 0u32..5,
        ) {
            let config = config(up, down);
            let mut health = Health::announced();
            let mut expected = true;
            for end in 1..=outcomes.len() {
                let last = outcomes[end - 1];
                let run = outcomes[..end].iter().rev().take_while(|o| **o == last).count() as u32;
                if run >= (if last { up } else { down }).max(1) {
                    expected = last;
                }
                let before = health.is_up();
                let change = health.observe(if last { Passed } else { Failed }, &config);
                prop_assert_eq!(health.is_up(), expected);
                prop_assert_eq!(change, (before != expected).then_some(expected));
            }
        }
    }
}
