//! An endpoint's health: its states, and the only place for their transitions.

use super::health_check::{CheckConfig, CheckOutcome};

/// What is known about an endpoint from health checks and from clients' connections to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// No check has passed yet, but a client may try it while no endpoint is proven.
    Untested {
        /// Consecutive failed checks.
        failed: u32,
        /// Whether a check or a client's connection has failed.
        avoided: bool,
    },
    /// Checks pass.
    Up {
        /// Consecutive failed checks.
        failed: u32,
    },
    /// Up, but a client's connection failed after the last check that passed.
    Ejected {
        /// Consecutive failed checks.
        failed: u32,
    },
    /// It takes no connection.
    Down {
        /// Consecutive passed checks.
        passed: u32,
        /// Whether a check has ever passed. If not, the first one that does takes it up.
        proven: bool,
    },
}

impl Health {
    /// Of an endpoint that takes no connection before its first check has passed.
    pub(super) fn unproven() -> Self {
        Self::Down {
            passed: 0,
            proven: false,
        }
    }

    /// Of an endpoint that clients may try before its first check has passed.
    pub(super) fn untested() -> Self {
        Self::Untested {
            failed: 0,
            avoided: false,
        }
    }

    /// As another process of the sidecar knew it.
    pub(super) fn resumed(up: bool) -> Self {
        match up {
            true => Self::Up { failed: 0 },
            false => Self::Down {
                passed: 0,
                proven: true,
            },
        }
    }

    /// Whether a check has passed, and not too many have failed since.
    pub(super) fn is_up(self) -> bool {
        matches!(self, Self::Up { .. } | Self::Ejected { .. })
    }

    /// Whether it is up; `None` before the first check that passed.
    pub(super) fn known(self) -> Option<bool> {
        match self {
            Self::Untested { .. } | Self::Down { proven: false, .. } => None,
            Self::Up { .. } | Self::Ejected { .. } => Some(true),
            Self::Down { proven: true, .. } => Some(false),
        }
    }

    /// Whether it was up once, and is down or ejected.
    pub(super) fn is_failing(self) -> bool {
        matches!(self, Self::Ejected { .. } | Self::Down { proven: true, .. })
    }

    /// Lets no client try it before its first check has passed.
    pub(super) fn withhold(&mut self) {
        if let Self::Untested { .. } = self {
            *self = Self::unproven();
        }
    }

    /// Records that a client's connection failed.
    pub(super) fn eject(&mut self) {
        *self = match *self {
            Self::Untested { failed, .. } => Self::Untested {
                failed,
                avoided: true,
            },
            Self::Up { failed } => Self::Ejected { failed },
            ejected_or_down => ejected_or_down,
        };
    }

    /// Records the outcome of a check. Returns whether clients may use it now, if that changed.
    pub(super) fn observe(&mut self, outcome: CheckOutcome, config: &CheckConfig) -> Option<bool> {
        let next = match outcome {
            CheckOutcome::Passed => self.passed(config.up),
            CheckOutcome::Refused | CheckOutcome::Failed => self.failed(config.down),
        };
        let before = std::mem::replace(self, next);
        let is_down = |health: Self| matches!(health, Self::Down { .. });
        if is_down(before) != is_down(next) {
            return Some(!is_down(next));
        }
        (before.is_up() != next.is_up()).then_some(next.is_up())
    }

    /// After a check passed. The first one ever takes the endpoint up, whatever `up` is: nothing speaks against it.
    fn passed(self, up: u32) -> Self {
        match self {
            Self::Down { passed, proven: true } if passed.saturating_add(1) < up => Self::Down {
                passed: passed + 1,
                proven: true,
            },
            _ => Self::Up { failed: 0 },
        }
    }

    /// After a check failed.
    fn failed(self, down: u32) -> Self {
        let (mut next, proven) = (self, self.is_up());
        match &mut next {
            Self::Down { passed, .. } => {
                *passed = 0;
                return next;
            }
            Self::Untested { failed, avoided } => {
                *failed = failed.saturating_add(1);
                *avoided = true;
            }
            Self::Up { failed } | Self::Ejected { failed } => *failed = failed.saturating_add(1),
        }
        match next {
            Self::Untested { failed, .. } | Self::Up { failed } | Self::Ejected { failed }
                if failed >= down =>
            {
                Self::Down { passed: 0, proven }
            }
            _ => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use CheckOutcome::{Failed, Passed, Refused};

    fn config(up: u32, down: u32) -> CheckConfig {
        CheckConfig {
            timeout: Duration::from_millis(500),
            period: Duration::from_secs(1),
            up,
            down,
        }
    }

    #[test]
    fn the_first_check_that_passes_takes_an_endpoint_up() {
        for mut health in [Health::unproven(), Health::untested()] {
            for outcome in [Failed, Refused, Failed, Failed] {
                health.observe(outcome, &config(5, 3));
                assert!(!health.is_up());
            }
            assert_eq!(health.observe(Passed, &config(5, 3)), Some(true));
        }
    }

    #[test]
    fn one_that_was_up_before_needs_as_many_passed_checks_as_configured() {
        let mut health = Health::unproven();
        health.observe(Passed, &config(2, 1));
        assert_eq!(health.observe(Failed, &config(2, 1)), Some(false));
        assert_eq!(health.observe(Passed, &config(2, 1)), None);
        assert_eq!(health.observe(Passed, &config(2, 1)), Some(true));
    }

    #[test]
    fn an_untested_endpoint_is_down_after_enough_failed_checks() {
        let mut health = Health::untested();
        for outcome in [Failed, Refused] {
            assert_eq!(health.observe(outcome, &config(2, 3)), None);
        }
        assert_eq!(health.observe(Failed, &config(2, 3)), Some(false));
        assert_eq!(health, Health::unproven());
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Check(CheckOutcome),
        Eject,
        Withhold,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => prop::sample::select(vec![Passed, Refused, Failed]).prop_map(Step::Check),
            2 => Just(Step::Eject),
            1 => Just(Step::Withhold),
        ]
    }

    proptest! {
        /// Against a model that keeps the whole history.
        #[test]
        fn health_follows_the_history(
            steps in prop::collection::vec(step(), 0..100), up in 0u32..5, down in 0u32..5, tried: bool,
        ) {
            let config = config(up, down);
            let mut health = if tried { Health::untested() } else { Health::unproven() };
            let (mut ever_passed, mut is_up, mut is_ejected) = (false, false, false);
            let (mut may_be_tried, mut run) = (tried, (false, 0));
            for step in steps {
                let (was_up, was_tried) = (is_up, may_be_tried);
                let mut change = None;
                match step {
                    Step::Check(outcome) => {
                        let passed = outcome == Passed;
                        run = if run.0 == passed { (passed, run.1 + 1) } else { (passed, 1) };
                        if passed && (!ever_passed || is_up || run.1 >= up.max(1)) {
                            (is_up, ever_passed, is_ejected, may_be_tried) = (true, true, false, false);
                        } else if !passed && run.1 >= down.max(1) {
                            (is_up, is_ejected, may_be_tried) = (false, false, false);
                        }
                        change = health.observe(outcome, &config);
                    }
                    Step::Eject => {
                        is_ejected = is_up;
                        health.eject();
                    }
                    Step::Withhold => {
                        may_be_tried = false;
                        health.withhold();
                    }
                }
                prop_assert_eq!(health.is_up(), is_up);
                prop_assert_eq!(matches!(health, Health::Ejected { .. }), is_ejected);
                prop_assert_eq!(matches!(health, Health::Untested { .. }), may_be_tried);
                prop_assert_eq!(health.known(), ever_passed.then_some(is_up));
                if let Step::Check(_) = step {
                    let expected = match (was_up || was_tried, is_up || may_be_tried) {
                        (true, false) => Some(false),
                        _ => (is_up && !was_up).then_some(true),
                    };
                    prop_assert_eq!(change, expected);
                }
            }
        }
    }
}
