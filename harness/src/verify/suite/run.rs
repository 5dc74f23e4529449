//! All scenarios, one after the other, and what they came to.

use std::time::{Duration, Instant};

use super::{Means, Scenario, Stage};
use crate::error::Error;
use crate::report::{Outcome, Progress, Verdict, name_in_run};
use crate::verify::objectives::Measurements;

/// What is to be run.
pub struct Plan<'a> {
    /// The scenarios.
    pub scenarios: Vec<&'a Scenario>,
    /// How often all of them.
    pub runs: usize,
    /// Whether the meshes of a failed scenario stay; no other is run then.
    pub keep: bool,
    /// What the machine has.
    pub means: Means,
    /// Whether a scenario that is skipped for lack of Docker fails.
    pub require_docker: bool,
}

/// What has become of it so far.
#[derive(Debug, Default)]
pub struct Done {
    /// The scenarios that have ended.
    pub scenarios: Vec<Outcome>,
    /// What was measured.
    pub measured: Measurements,
    /// Whether meshes are kept.
    pub kept: bool,
}

impl Done {
    /// Notes what was in the way of something that is no scenario, but has to be done for the run to be whole.
    pub fn broken(&mut self, name: &str, about: &str, run: usize, error: &Error) {
        self.scenarios.push(Outcome {
            name: name.to_owned(),
            about: about.to_owned(),
            run,
            took: Duration::ZERO,
            verdict: Verdict::Broken {
                message: error.to_string(),
            },
        });
    }
}

impl Plan<'_> {
    /// Runs it to its end. What cannot be run any more is skipped, with the reason. Where this is dropped before its
    /// end, `done` has what was done until then.
    pub async fn run(&self, stage: &mut Stage, progress: &Progress, done: &mut Done) {
        let mut over: Option<String> = None;
        for run in 1..=self.runs {
            if self.runs > 1 && over.is_none() {
                progress.say(&format!("Run {run} of {}.", self.runs));
            }
            for scenario in &self.scenarios {
                let begun = Instant::now();
                let title = name_in_run(scenario.name, run, self.runs);
                let verdict = match &over {
                    Some(reason) => skipped(reason),
                    None => self.one(stage, scenario, &title).await,
                };
                tell(scenario, &title, &verdict, progress);
                over = over.or_else(|| self.ends(&verdict, scenario));
                done.kept |= self.keep && is_bad(&verdict);
                done.scenarios
                    .push(outcome(scenario, run, begun.elapsed(), verdict));
                done.measured.merge(stage.measured());
            }
            if over.is_none()
                && let Err(error) = stage.finish(run < self.runs).await
            {
                progress.failed();
                progress.say(&error.to_string());
                over = Some("the previous run could not be finished".to_owned());
                let about = "the memory of the idle sidecars can be read";
                done.broken("memory", about, run, &error);
            }
            done.measured.merge(stage.measured());
        }
    }

    /// Notes that it did not come to its end: what is left of the repetition that it was at is skipped.
    pub fn interrupted(&self, done: &mut Done) {
        let run = done.scenarios.last().map_or(1, |outcome| outcome.run);
        for scenario in &self.scenarios {
            let ended = |outcome: &Outcome| outcome.run == run && outcome.name == scenario.name;
            if !done.scenarios.iter().any(ended) {
                let skipped = outcome(scenario, run, Duration::ZERO, skipped("interrupted"));
                done.scenarios.push(skipped);
            }
        }
    }

    /// Why nothing can be run after a scenario.
    fn ends(&self, verdict: &Verdict, scenario: &Scenario) -> Option<String> {
        match verdict {
            Verdict::Broken { .. } => Some(format!("the environment is at fault, see {}", scenario.name)),
            Verdict::Failed { .. } if self.keep => {
                Some(format!("{} failed and its mesh is kept", scenario.name))
            }
            Verdict::Held | Verdict::Failed { .. } | Verdict::Skipped { .. } => None,
        }
    }

    async fn one(&self, stage: &mut Stage, scenario: &Scenario, title: &str) -> Verdict {
        match self.refused(scenario) {
            Some(verdict) => verdict,
            None => stage.run(scenario, title, self.keep).await,
        }
    }

    /// What becomes of a scenario that cannot be run on this machine.
    fn refused(&self, scenario: &Scenario) -> Option<Verdict> {
        let reason = self.means.lacking(scenario.needs)?;
        Some(if self.require_docker && !self.means.docker {
            Verdict::Failed {
                message: format!("{reason}, which --require docker demands"),
            }
        } else {
            skipped(reason)
        })
    }
}

fn outcome(scenario: &Scenario, run: usize, took: Duration, verdict: Verdict) -> Outcome {
    Outcome {
        name: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        run,
        took,
        verdict,
    }
}

fn is_bad(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Failed { .. } | Verdict::Broken { .. })
}

fn skipped(reason: &str) -> Verdict {
    Verdict::Skipped {
        reason: reason.to_owned(),
    }
}

/// A line for each scenario, and more where it did not hold.
fn tell(scenario: &Scenario, title: &str, verdict: &Verdict, progress: &Progress) {
    match verdict {
        Verdict::Held => progress.done(scenario.about),
        Verdict::Skipped { reason } => progress.say(&format!("{title}: skipped: {reason}")),
        Verdict::Failed { message } | Verdict::Broken { message } => {
            progress.failed();
            progress.say(&format!("{title} does not hold: {}\n{message}", scenario.about));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Needs;
    use super::*;

    fn scenario(needs: Needs) -> Scenario {
        Scenario {
            name: "one",
            about: "",
            needs,
            allows: &[],
            run: |_| Box::pin(std::future::ready(Ok(()))),
        }
    }

    fn plan(docker: bool, require_docker: bool, keep: bool) -> Plan<'static> {
        Plan {
            scenarios: Vec::new(),
            runs: 1,
            keep,
            means: Means {
                docker,
                compose: false,
            },
            require_docker,
        }
    }

    #[test]
    fn what_needs_docker_is_skipped_without_and_fails_where_docker_is_required() {
        let docker = scenario(Needs::DOCKER);
        let refused = |with, required| plan(with, required, false).refused(&docker);
        assert!(matches!(refused(false, false), Some(Verdict::Skipped { .. })));
        assert!(matches!(refused(false, true), Some(Verdict::Failed { .. })));
        assert_eq!(refused(true, true), None);
        assert_eq!(plan(false, true, false).refused(&scenario(Needs::NOTHING)), None);
        let compose = plan(true, true, false).refused(&scenario(Needs::COMPOSE));
        assert!(
            matches!(compose, Some(Verdict::Skipped { .. })),
            "Docker is there: {compose:?}"
        );
    }

    #[test]
    fn what_an_interruption_leaves_of_a_repetition_is_skipped() {
        let named = |name| Scenario {
            name,
            ..scenario(Needs::NOTHING)
        };
        let (first, second) = (named("first"), named("second"));
        let mut plan = plan(true, false, false);
        plan.scenarios = vec![&first, &second];
        let held = |scenario, run| outcome(scenario, run, Duration::ZERO, Verdict::Held);
        let interrupted = |scenarios| {
            let mut done = Done {
                scenarios,
                ..Done::default()
            };
            plan.interrupted(&mut done);
            done.scenarios
        };
        let left = |scenario, run| outcome(scenario, run, Duration::ZERO, skipped("interrupted"));
        assert_eq!(interrupted(vec![]), [left(&first, 1), left(&second, 1)]);
        let begun = vec![held(&first, 1), held(&second, 1), held(&first, 2)];
        assert_eq!(
            interrupted(begun.clone()),
            [begun, vec![left(&second, 2)]].concat()
        );
        let whole = vec![held(&first, 1), held(&second, 1)];
        assert_eq!(interrupted(whole.clone()), whole);
    }

    #[test]
    fn a_failure_ends_the_run_only_where_its_mesh_is_kept_and_a_broken_environment_always() {
        let one = scenario(Needs::NOTHING);
        let message = String::new;
        let ends = |keep, verdict| plan(true, false, keep).ends(&verdict, &one).is_some();
        assert!(!ends(false, Verdict::Failed { message: message() }));
        assert!(ends(true, Verdict::Failed { message: message() }));
        assert!(ends(false, Verdict::Broken { message: message() }));
        assert!(!ends(true, Verdict::Held) && !ends(true, skipped("")));
    }
}
