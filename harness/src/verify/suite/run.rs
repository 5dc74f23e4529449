//! Runs the selected scenarios one after the other and collects their results.

use std::time::{Duration, Instant};

use super::result::name_in_run;
use super::{Capabilities, Context, Scenario, ScenarioResult, Verdict};
use crate::console::Progress;
use crate::error::Error;
use crate::verify::load::{Load, LoadMonitor};
use crate::verify::objectives::Measurements;

/// The selected scenarios and how to run them.
pub struct Suite<'a> {
    /// The scenarios, in order.
    pub scenarios: Vec<&'a Scenario>,
    /// Number of runs of all scenarios.
    pub runs: usize,
    /// Whether to stop at the first failure and leave its meshes running.
    pub keep: bool,
    /// What this machine offers.
    pub capabilities: Capabilities,
    /// Whether a scenario that needs Docker fails instead of being skipped if Docker is missing.
    pub require_docker: bool,
}

/// The results so far.
#[derive(Debug, Default)]
pub struct SuiteResult {
    /// Results of the scenarios that have ended.
    pub scenarios: Vec<ScenarioResult>,
    /// The measured values.
    pub measured: Measurements,
    /// The load of the machine.
    pub load: Load,
    /// Whether a failed scenario's meshes were left running.
    pub kept: bool,
}

impl SuiteResult {
    /// Adds the values that were measured under `load`.
    fn add(&mut self, mut measured: Measurements, load: &Load) {
        if load.is_overloaded() {
            measured.mark_overloaded();
        }
        self.measured.merge(measured);
        self.load.add(load);
    }

    /// Records an error of the environment outside any scenario, such as during the clean-up.
    pub fn add_error(&mut self, name: &str, about: &str, run: usize, error: &Error) {
        self.scenarios.push(ScenarioResult {
            name: name.to_owned(),
            about: about.to_owned(),
            run,
            took: Duration::ZERO,
            verdict: Verdict::Error {
                message: error.to_string(),
            },
        });
    }
}

impl Suite<'_> {
    /// Runs all scenarios. Once a scenario makes further ones impossible, skips the rest with that reason. If this
    /// future is dropped early, `results` has the results so far.
    pub async fn run(&self, ctx: &mut Context, progress: &Progress, results: &mut SuiteResult) {
        let mut over: Option<String> = None;
        let mut monitor = LoadMonitor::start();
        for run in 1..=self.runs {
            if self.runs > 1 && over.is_none() {
                progress.say(&format!("Run {run} of {}.", self.runs));
            }
            for scenario in &self.scenarios {
                let started_at = Instant::now();
                let title = name_in_run(scenario.name, run, self.runs);
                let verdict = match &over {
                    Some(reason) => skipped(reason),
                    None => self.run_one(ctx, scenario, &title).await,
                };
                report_progress(scenario, &title, &verdict, progress);
                over = over.or_else(|| self.ends(&verdict, scenario));
                results.kept |= self.keep && is_bad(&verdict);
                results
                    .scenarios
                    .push(outcome(scenario, run, started_at.elapsed(), verdict));
                results.add(ctx.take_measured(), &monitor.take());
            }
            if over.is_none()
                && let Err(error) = ctx.finish(run < self.runs).await
            {
                progress.failed();
                progress.say(&error.to_string());
                over = Some("the previous run could not be ended".to_owned());
                let about = "the memory of the idle sidecars is readable";
                results.add_error("memory", about, run, &error);
            }
            results.add(ctx.take_measured(), &monitor.take());
        }
    }

    /// Marks the remaining scenarios of the current run as skipped after an interruption.
    pub fn interrupted(&self, results: &mut SuiteResult) {
        let run = results.scenarios.last().map_or(1, |outcome| outcome.run);
        for scenario in &self.scenarios {
            let ended = |outcome: &ScenarioResult| outcome.run == run && outcome.name == scenario.name;
            if !results.scenarios.iter().any(ended) {
                let skipped = outcome(scenario, run, Duration::ZERO, skipped("interrupted"));
                results.scenarios.push(skipped);
            }
        }
    }

    /// Why no further scenario can run after this verdict; `None` if it can.
    fn ends(&self, verdict: &Verdict, scenario: &Scenario) -> Option<String> {
        match verdict {
            Verdict::Error { .. } => Some(format!("the environment failed, see {}", scenario.name)),
            Verdict::Failed { .. } if self.keep => {
                Some(format!("{} failed and its mesh was kept", scenario.name))
            }
            Verdict::Held | Verdict::Failed { .. } | Verdict::Skipped { .. } => None,
        }
    }

    async fn run_one(&self, ctx: &mut Context, scenario: &Scenario, title: &str) -> Verdict {
        match self.unsupported(scenario) {
            Some(verdict) => verdict,
            None => ctx.run(scenario, title, self.keep).await,
        }
    }

    /// The verdict of a scenario that cannot run on this machine; `None` if it can.
    fn unsupported(&self, scenario: &Scenario) -> Option<Verdict> {
        let reason = self.capabilities.missing(scenario.requires)?;
        Some(if self.require_docker && !self.capabilities.docker {
            Verdict::Failed {
                message: format!("{reason}, and --require docker was given"),
            }
        } else {
            skipped(reason)
        })
    }
}

fn outcome(scenario: &Scenario, run: usize, took: Duration, verdict: Verdict) -> ScenarioResult {
    ScenarioResult {
        name: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        run,
        took,
        verdict,
    }
}

fn is_bad(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Failed { .. } | Verdict::Error { .. })
}

fn skipped(reason: &str) -> Verdict {
    Verdict::Skipped {
        reason: reason.to_owned(),
    }
}

/// Prints one line for the verdict, and the message of a failure.
fn report_progress(scenario: &Scenario, title: &str, verdict: &Verdict, progress: &Progress) {
    match verdict {
        Verdict::Held => progress.done(scenario.about),
        Verdict::Skipped { reason } => progress.say(&format!("{title}: skipped: {reason}")),
        Verdict::Failed { message } | Verdict::Error { message } => {
            progress.failed();
            progress.say(&format!("{title} does not hold: {}\n{message}", scenario.about));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Requirements;
    use super::*;

    fn scenario(needs: Requirements) -> Scenario {
        Scenario {
            name: "one",
            about: "",
            requires: needs,
            allows: &[],
            run: |_| Box::pin(std::future::ready(Ok(()))),
        }
    }

    fn suite(docker: bool, require_docker: bool, keep: bool) -> Suite<'static> {
        Suite {
            scenarios: Vec::new(),
            runs: 1,
            keep,
            capabilities: Capabilities {
                docker,
                compose: false,
            },
            require_docker,
        }
    }

    #[test]
    fn a_scenario_that_needs_docker_is_skipped_without_it_and_fails_if_docker_is_required() {
        let docker = scenario(Requirements::DOCKER);
        let unsupported = |with, required| suite(with, required, false).unsupported(&docker);
        assert!(matches!(unsupported(false, false), Some(Verdict::Skipped { .. })));
        assert!(matches!(unsupported(false, true), Some(Verdict::Failed { .. })));
        assert_eq!(unsupported(true, true), None);
        assert_eq!(
            suite(false, true, false).unsupported(&scenario(Requirements::NOTHING)),
            None
        );
        let compose = suite(true, true, false).unsupported(&scenario(Requirements::COMPOSE));
        assert!(
            matches!(compose, Some(Verdict::Skipped { .. })),
            "Docker is there: {compose:?}"
        );
    }

    #[test]
    fn an_interruption_skips_the_rest_of_the_current_run() {
        let named = |name| Scenario {
            name,
            ..scenario(Requirements::NOTHING)
        };
        let (first, second) = (named("first"), named("second"));
        let mut suite = suite(true, false, false);
        suite.scenarios = vec![&first, &second];
        let held = |scenario, run| outcome(scenario, run, Duration::ZERO, Verdict::Held);
        let interrupted = |scenarios| {
            let mut results = SuiteResult {
                scenarios,
                ..SuiteResult::default()
            };
            suite.interrupted(&mut results);
            results.scenarios
        };
        let left = |scenario, run| outcome(scenario, run, Duration::ZERO, skipped("interrupted"));
        assert_eq!(interrupted(vec![]), [left(&first, 1), left(&second, 1)]);
        let ran = vec![held(&first, 1), held(&second, 1), held(&first, 2)];
        assert_eq!(interrupted(ran.clone()), [ran, vec![left(&second, 2)]].concat());
        let whole = vec![held(&first, 1), held(&second, 1)];
        assert_eq!(interrupted(whole.clone()), whole);
    }

    #[test]
    fn a_failure_ends_the_suite_only_with_keep_and_an_environment_error_always() {
        let one = scenario(Requirements::NOTHING);
        let message = String::new;
        let ends = |keep, verdict| suite(true, false, keep).ends(&verdict, &one).is_some();
        assert!(!ends(false, Verdict::Failed { message: message() }));
        assert!(ends(true, Verdict::Failed { message: message() }));
        assert!(ends(false, Verdict::Error { message: message() }));
        assert!(!ends(true, Verdict::Held) && !ends(true, skipped("")));
    }
}
