//! Outlier ejection: takes an instance that answers with errors out of its group for a while.
//!
//! | state    | event                                                    | next state                                       |
//! |----------|----------------------------------------------------------|--------------------------------------------------|
//! | counting | a request succeeds                                       | counting, from 0                                 |
//! | counting | the last of `failures` consecutive requests fails        | out, if at most half of the group would be out   |
//! | out      | its time is over, and a request picks it                 | on trial: no other request picks it              |
//! | on trial | that request succeeds                                    | counting, from 0                                 |
//! | on trial | that request fails                                       | out, for the same time again                     |
//! | on trial | that request has not ended within the time of ejection   | on trial, with the next request that picks it    |
//!
//! Requests that began earlier change nothing while it is out or on trial.

use std::time::{Duration, Instant};

use super::group::{ServerGroup, State};
use super::server::Server;

/// When an instance is ejected for its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierEjection {
    /// Consecutive failed requests before it is ejected, see [`Outcome::Failed`].
    pub failures: u32,
    /// Time for which it is ejected.
    pub time: Duration,
}

/// How a request to an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Succeeded,
    /// It was answered with a 5xx status, or not completely.
    Failed,
}

/// An instance, as its answers to requests show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlier {
    /// Requests pick it.
    Counting {
        /// Consecutive failed requests.
        failures: u32,
    },
    /// No request picks it while another instance is left, before this time.
    Out { until: Instant },
    /// One request has picked it; before this time no other one does.
    OnTrial { until: Instant },
}

impl Default for Outlier {
    fn default() -> Self {
        Self::Counting { failures: 0 }
    }
}

impl Outlier {
    /// Whether it is ejected.
    pub(super) fn is_out(self) -> bool {
        !matches!(self, Self::Counting { .. })
    }

    /// Whether a request that begins now may pick it as its trial.
    pub(super) fn is_due(self, now: Instant) -> bool {
        match self {
            Self::Counting { .. } => false,
            Self::Out { until } | Self::OnTrial { until } => until <= now,
        }
    }

    /// A request that began now picks it. Returns whether that is its trial.
    pub(super) fn pick(&mut self, now: Instant, ejection: OutlierEjection) -> bool {
        let is_trial = self.is_due(now);
        if is_trial {
            *self = Self::OnTrial {
                until: now + ejection.time,
            };
        }
        is_trial
    }

    /// Records how a request ended; `is_trial` as [`Self::pick`] returned it. Returns whether that ejects the instance.
    pub(super) fn record(
        &mut self,
        outcome: Outcome,
        is_trial: bool,
        now: Instant,
        ejection: OutlierEjection,
        may_eject: bool,
    ) -> bool {
        let out = Self::Out {
            until: now + ejection.time,
        };
        let next = match (*self, outcome) {
            (Self::Counting { .. }, Outcome::Succeeded) => Self::default(),
            (Self::Counting { failures }, Outcome::Failed) => {
                let failures = failures.saturating_add(1);
                match may_eject && failures >= ejection.failures {
                    true => out,
                    false => Self::Counting { failures },
                }
            }
            (Self::OnTrial { .. }, Outcome::Succeeded) if is_trial => Self::default(),
            (Self::OnTrial { .. }, Outcome::Failed) if is_trial => out,
            (same, _) => same,
        };
        let ejects = next != *self && next == out;
        *self = next;
        ejects
    }
}

impl ServerGroup {
    /// When its instances are ejected for their answers; `None` never.
    pub fn outlier_ejection(&self) -> Option<OutlierEjection> {
        self.state().outlier_ejection
    }

    /// Sets when its instances are ejected for their answers, from the next pick on. `None` takes all back.
    pub fn set_outlier_ejection(&self, ejection: Option<OutlierEjection>) {
        let mut state = self.state();
        state.outlier_ejection = ejection;
        if ejection.is_none() {
            for endpoint in &mut state.endpoints {
                endpoint.outlier = Outlier::default();
            }
            state.candidates_changed(self.name());
        }
    }

    /// Records how a request to a server ended.
    pub(super) fn record(&self, server: &Server, outcome: Outcome, is_trial: bool, now: Instant) {
        let mut state = self.state();
        let Some(ejection) = state.outlier_ejection else {
            return;
        };
        let may_eject = state.may_eject();
        let mut endpoints = state.endpoints.iter_mut();
        let Some(endpoint) = endpoints.find(|e| e.server.id() == server.id()) else {
            return;
        };
        let before = endpoint.rank();
        let ejects = endpoint
            .outlier
            .record(outcome, is_trial, now, ejection, may_eject);
        if endpoint.rank() != before {
            state.candidates_changed(self.name());
        }
        drop(state);
        if ejects {
            self.count_ejection();
            tracing::info!(
                group = self.name(),
                server = server.name(),
                address = %server.address(),
                seconds = ejection.time.as_secs_f64(),
                "server is ejected: {} requests in a row failed",
                if is_trial { 1 } else { ejection.failures }
            );
        }
    }
}

impl State {
    /// Whether at most half of its instances would be out with one more.
    fn may_eject(&self) -> bool {
        let instances = self.endpoints.iter().filter(|e| e.weight > 0);
        let out = instances.clone().filter(|e| e.outlier.is_out()).count();
        2 * (out + 1) <= instances.count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A request begins.
        Pick,
        /// The oldest request that has not ended does.
        End(Outcome),
        /// Milliseconds pass.
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Pick),
            4 => prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Failed)].prop_map(Step::End),
            1 => (0u64..150).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Ejected for exactly its time after `failures` in a row, then one request at a time.
        #[test]
        fn an_instance_is_out_for_its_time_and_then_on_trial(
            steps in prop::collection::vec(step(), 0..200), failures in 1u32..5, may_eject: bool,
        ) {
            let ejection = OutlierEjection { failures, time: Duration::from_millis(100) };
            let (mut outlier, mut now) = (Outlier::default(), Instant::now());
            let mut open = std::collections::VecDeque::new();
            let (mut failed_in_a_row, mut ejected_at) = (0, None::<Instant>);
            for step in steps {
                match step {
                    Step::Wait(millis) => now += Duration::from_millis(millis),
                    Step::Pick if outlier.is_out() && !outlier.is_due(now) => {}
                    Step::Pick => {
                        let is_trial = outlier.pick(now, ejection);
                        prop_assert_eq!(is_trial, ejected_at.is_some());
                        if is_trial {
                            prop_assert!(!outlier.is_due(now), "two requests try it at once");
                            prop_assert!(ejected_at.is_some_and(|at| now >= at + ejection.time));
                        }
                        open.push_back(is_trial);
                    }
                    Step::End(outcome) => {
                        let Some(is_trial) = open.pop_front() else { continue };
                        let counts = ejected_at.is_none();
                        let ejects = outlier.record(outcome, is_trial, now, ejection, may_eject);
                        match outcome {
                            Outcome::Succeeded if counts => failed_in_a_row = 0,
                            Outcome::Failed if counts => failed_in_a_row += 1,
                            _ => {}
                        }
                        if counts {
                            prop_assert_eq!(ejects, may_eject && failed_in_a_row >= failures);
                        }
                        if ejects {
                            (ejected_at, failed_in_a_row) = (Some(now), 0);
                            prop_assert!(!outlier.is_due(now + ejection.time - Duration::from_millis(1)));
                            prop_assert!(outlier.is_due(now + ejection.time));
                        } else if !outlier.is_out() {
                            prop_assert!(counts || (is_trial && outcome == Outcome::Succeeded));
                            ejected_at = None;
                        }
                    }
                }
                prop_assert_eq!(outlier.is_out(), ejected_at.is_some());
            }
        }
    }
}
