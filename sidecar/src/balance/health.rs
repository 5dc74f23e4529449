//! Whether a server is up, from the outcomes of its checks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a group's servers are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckConfig {
    /// How long a check, and an attempt to connect for a client, may take.
    pub timeout: Duration,
    /// From the start of one check to the start of the next.
    pub period: Duration,
    /// How many checks in a row must pass until a server that is down is up; 0 counts as 1.
    pub up: u32,
    /// How many checks in a row must fail until a server that is up is down; 0 counts as 1.
    pub down: u32,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The server answered.
    Passed,
    /// Its machine answered that nobody listens there.
    Refused,
    /// It did not answer in time or could not be reached.
    Failed,
}

/// A server's checks, as counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checks {
    /// Those that it passed.
    pub passed: u64,
    /// Those that it failed.
    pub failed: u64,
}

/// [`Checks`] as they happen.
#[derive(Debug, Default)]
pub(super) struct CheckCounters {
    passed: AtomicU64,
    failed: AtomicU64,
}

impl CheckCounters {
    pub(super) fn count(&self, outcome: CheckOutcome) {
        match outcome {
            CheckOutcome::Passed => &self.passed,
            CheckOutcome::Refused | CheckOutcome::Failed => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Checks {
        Checks {
            passed: self.passed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// One server's health.
#[derive(Debug)]
pub(super) struct Health {
    up: bool,
    /// No check has spoken yet and nobody vouched: the first outcome decides alone.
    undecided: bool,
    /// Outcomes in a row that speak against the present state.
    against: u32,
}

impl Health {
    /// Down until its first check says otherwise.
    pub(super) fn undecided() -> Self {
        Self {
            up: false,
            undecided: true,
            against: 0,
        }
    }

    /// Up on somebody's word.
    pub(super) fn vouched() -> Self {
        Self {
            up: true,
            undecided: false,
            against: 0,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Takes in an outcome. Returns the new state where it changed.
    pub(super) fn observe(&mut self, outcome: CheckOutcome, config: &CheckConfig) -> Option<bool> {
        let passed = outcome == CheckOutcome::Passed;
        if passed == self.up {
            self.against = 0;
            self.undecided = false;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let needed = match (self.undecided, passed) {
            (true, _) => 1,
            (false, true) => config.up,
            (false, false) => config.down,
        };
        self.undecided = false;
        if self.against < needed {
            return None;
        }
        self.up = passed;
        self.against = 0;
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
    fn the_first_outcome_alone_decides() {
        let mut health = Health::undecided();
        assert!(!health.is_up());
        assert_eq!(health.observe(Passed, &config(2, 3)), Some(true));

        let mut health = Health::undecided();
        assert_eq!(health.observe(Failed, &config(2, 3)), None);
        assert_eq!(
            health.observe(Passed, &config(2, 3)),
            None,
            "from the second on, `up` counts"
        );
        assert_eq!(health.observe(Passed, &config(2, 3)), Some(true));
    }

    #[test]
    fn who_is_vouched_for_is_up_until_checks_fail_in_a_row() {
        let mut health = Health::vouched();
        for outcome in [Failed, Failed, Passed, Failed, Failed] {
            assert_eq!(health.observe(outcome, &config(2, 3)), None);
        }
        assert_eq!(health.observe(Failed, &config(2, 3)), Some(false));
    }

    proptest! {
        /// The state is what the last run of equal outcomes that was long enough says.
        #[test]
        fn it_changes_exactly_after_enough_in_a_row(
            outcomes in prop::collection::vec(any::<bool>(), 1..200), up in 0u32..5, down in 0u32..5,
        ) {
            let config = config(up, down);
            let mut health = Health::vouched();
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
