//! The result of the whole suite, from which every report format is rendered.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::verify::load::Load;
use crate::verify::objectives::{Measurements, Objective, ObjectiveSummary};
use crate::verify::suite::{ScenarioResult, Verdict, name_in_run};

/// What a missed objective means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Objectives {
    /// The suite fails.
    #[default]
    Required,
    /// It is reported, and changes nothing else.
    Informative,
}

/// The result of the whole suite.
#[derive(Debug, Clone)]
pub struct Report {
    /// The runtime's name, as accepted by `--runtime`.
    pub runtime: String,
    /// Why that runtime was chosen.
    pub why: String,
    /// Start time.
    pub began: SystemTime,
    /// Duration of all runs.
    pub took: Duration,
    /// Requested number of runs.
    pub runs: usize,
    /// Whether a filter selected the scenarios.
    pub filtered: bool,
    /// Whether the suite was interrupted.
    pub interrupted: bool,
    /// One result for each scenario and run, in the order in which they ran.
    pub scenarios: Vec<ScenarioResult>,
    /// Measured values of all runs.
    pub measured: Measurements,
    /// The load of the machine during all runs.
    pub load: Load,
    /// What missed objectives mean.
    pub objectives: Objectives,
}

impl Report {
    /// Number of results whose verdict satisfies the predicate `of`.
    pub fn count(&self, of: fn(&Verdict) -> bool) -> usize {
        self.scenarios
            .iter()
            .filter(|outcome| of(&outcome.verdict))
            .count()
    }

    /// The scenario's name, followed by the run's number if the suite runs more than once.
    pub fn name(&self, outcome: &ScenarioResult) -> String {
        name_in_run(&outcome.name, outcome.run, self.runs)
    }

    /// `ran` as a phrase: "3 scenarios", or "6 runs of 3 scenarios" if the suite runs more than once.
    fn counted(&self, ran: usize) -> String {
        let scenarios = |count: usize| match count {
            1 => "1 scenario".to_owned(),
            count => format!("{count} scenarios"),
        };
        if self.runs == 1 || ran == 1 {
            return scenarios(ran);
        }
        let ran_at_all = self
            .scenarios
            .iter()
            .filter(|outcome| !matches!(outcome.verdict, Verdict::Skipped { .. }));
        let names: BTreeSet<&str> = ran_at_all.map(|outcome| outcome.name.as_str()).collect();
        format!("{ran} runs of {}", scenarios(names.len()))
    }

    /// The objectives that a table shows, and the number of those left out. Objectives that were not measured are left
    /// out only if a filter or an interruption explains why.
    pub(super) fn shown(&self) -> (Vec<Objective>, usize) {
        let mut shown = Objective::ALL.to_vec();
        if self.filtered || self.interrupted {
            shown.retain(|objective| self.measured.summary(*objective).is_some());
        }
        let left_out = Objective::ALL.len() - shown.len();
        (shown, left_out)
    }

    /// The missed objectives that fail the suite: those that an overloaded machine explains, and the others.
    pub(super) fn failing(&self) -> (Vec<ObjectiveSummary>, Vec<ObjectiveSummary>) {
        match self.objectives {
            Objectives::Required => {
                let missed = self.measured.missed().into_iter();
                missed.partition(|summary| summary.overloaded)
            }
            Objectives::Informative => (Vec::new(), Vec::new()),
        }
    }

    /// 0 if every scenario held and every required objective was met; 1 if a scenario failed or an objective was missed;
    /// 2 if the environment prevented a check, or explains the missed objectives; 130 if the suite was interrupted,
    /// whatever it found before.
    pub fn exit_code(&self) -> u8 {
        let failed = self.count(|verdict| matches!(verdict, Verdict::Failed { .. }));
        let broken = self.count(|verdict| matches!(verdict, Verdict::Error { .. }));
        let (explained, missed) = self.failing();
        if self.interrupted {
            Error::Interrupted.exit_code()
        } else if failed > 0 || !missed.is_empty() {
            1
        } else if broken > 0 || !explained.is_empty() {
            2
        } else {
            0
        }
    }

    /// The result in a few sentences.
    pub fn sentence(&self) -> String {
        let ran = self.count(|verdict| !matches!(verdict, Verdict::Skipped { .. }));
        let skipped = self.scenarios.len() - ran;
        let bad: Vec<String> = self
            .scenarios
            .iter()
            .filter(|outcome| matches!(outcome.verdict, Verdict::Failed { .. } | Verdict::Error { .. }))
            .map(|outcome| self.name(outcome))
            .collect();
        let counted = self.counted(ran);
        let mut text = match (ran, bad.len()) {
            (0, _) => "No scenario ran".to_owned(),
            (_, 0) if self.interrupted => format!("{counted} held"),
            (1, 0) => "The one scenario held".to_owned(),
            (_, 0) => format!("All {counted} held"),
            (_, bad_ones) if self.runs == 1 => format!("{bad_ones} of {ran} failed: {}", bad.join(", ")),
            (_, bad_ones) => format!("{bad_ones} of {counted} failed: {}", bad.join(", ")),
        };
        if skipped > 0 {
            text.push_str(&format!(", {skipped} skipped"));
        }
        text.push('.');
        if self.interrupted {
            text.insert_str(0, "Interrupted. ");
        }
        let missed = self.measured.missed();
        if !missed.is_empty() {
            let names: Vec<&str> = missed.iter().map(|summary| summary.objective.name()).collect();
            text.push_str(&format!(" Objectives missed: {}.", names.join("; ")));
            if self.objectives == Objectives::Informative {
                text.push_str(" They are informative.");
            }
        }
        if self.load.was_overloaded() && (!bad.is_empty() || !missed.is_empty()) {
            text.push_str(
                " The machine was overloaded, which delays every start and answer: repeat it on a quiet one",
            );
            if !self.failing().0.is_empty() {
                text.push_str(", or with --objectives informative");
            }
            text.push('.');
        }
        text
    }
}

/// The sentence that `count` objectives were not measured.
pub(super) fn not_measured(count: usize) -> String {
    let all = Objective::ALL.len();
    format!("Not measured by these scenarios: {count} of {all} objectives.")
}

#[cfg(test)]
pub(super) fn example() -> Report {
    let mut measured = Measurements::default();
    measured.add(Objective::Ready, Duration::from_millis(700));
    measured.add(Objective::Ready, Duration::from_millis(900));
    measured.add(Objective::KillToLastError, Duration::from_millis(501));
    measured.add(Objective::FailedOnStop, 0_usize);
    measured.in_flight = 3;
    let outcome = |name: &str, milliseconds, verdict| ScenarioResult {
        name: name.to_owned(),
        about: format!("{name} works"),
        run: 1,
        took: Duration::from_millis(milliseconds),
        verdict,
    };
    Report {
        runtime: "process".to_owned(),
        why: "no Docker engine answers".to_owned(),
        began: std::time::UNIX_EPOCH + Duration::from_secs(1_795_498_687),
        took: Duration::from_millis(12_345),
        runs: 1,
        filtered: false,
        interrupted: false,
        scenarios: vec![
            outcome("paths", 250, Verdict::Held),
            outcome(
                "kill",
                1500,
                Verdict::Failed {
                    message: "  expected: a < b & \"c\"\n  seen:     |\u{1b}[31m]]>".to_owned(),
                },
            ),
            outcome(
                "partition",
                0,
                Verdict::Skipped {
                    reason: "needs Docker".to_owned(),
                },
            ),
            outcome(
                "rejoin",
                30,
                Verdict::Error {
                    message: "the engine went away".to_owned(),
                },
            ),
        ],
        measured,
        load: crate::verify::load::example(1),
        objectives: Objectives::Required,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_separates_the_mesh_from_the_environment() {
        let mut report = example();
        assert_eq!(report.exit_code(), 1);
        report.scenarios.retain(|outcome| outcome.name != "kill");
        assert_eq!(report.exit_code(), 1, "an objective is missed");
        report.measured = Measurements::default();
        assert_eq!(report.exit_code(), 2, "the environment is at fault");
        report.scenarios.retain(|outcome| outcome.name != "rejoin");
        assert_eq!(report.exit_code(), 0, "a skipped scenario is not a failure");
        report.measured.add(Objective::Join, Duration::from_millis(500));
        assert_eq!(report.exit_code(), 0);
        report.interrupted = true;
        assert_eq!(report.exit_code(), 130);
    }

    #[test]
    fn objectives_missed_on_an_overloaded_machine_are_the_environments_fault() {
        let mut report = example();
        report.scenarios.truncate(1);
        report.measured.mark_overloaded();
        report.load = crate::verify::load::example(20);
        assert_eq!(report.exit_code(), 2);
        assert_eq!(
            report.sentence(),
            "The one scenario held. Objectives missed: killed -> last error. The machine was overloaded, which delays \
             every start and answer: repeat it on a quiet one, or with --objectives informative."
        );
        report.measured.add(Objective::FailedOnStop, 1_usize);
        assert_eq!(report.exit_code(), 1, "a failed request is the mesh's fault");
        report.objectives = Objectives::Informative;
        assert_eq!(report.exit_code(), 0);
        assert!(
            report
                .sentence()
                .contains(" They are informative. The machine was overloaded")
        );
        let failed = Verdict::Failed {
            message: String::new(),
        };
        report.scenarios[0].verdict = failed;
        assert_eq!(report.exit_code(), 1, "a failed scenario is never informative");
    }

    #[test]
    fn the_sentence_names_what_failed() {
        let mut report = example();
        assert_eq!(
            report.sentence(),
            "2 of 3 failed: kill, rejoin, 1 skipped. Objectives missed: killed -> last error."
        );
        report.runs = 2;
        report.scenarios[1].run = 2;
        assert!(
            report
                .sentence()
                .starts_with("2 of 3 runs of 3 scenarios failed: kill (run 2), rejoin (run 1)")
        );
    }

    #[test]
    fn the_sentence_counts_scenarios_and_runs() {
        let mut report = example();
        report.measured = Measurements::default();
        let partition = report.scenarios.remove(2);
        report.scenarios.truncate(1);
        assert_eq!(report.sentence(), "The one scenario held.");
        report.interrupted = true;
        assert_eq!(report.sentence(), "Interrupted. 1 scenario held.");
        let paths = std::mem::replace(&mut report.scenarios, vec![partition]).remove(0);
        assert_eq!(report.sentence(), "Interrupted. No scenario ran, 1 skipped.");
        report.interrupted = false;
        assert_eq!(report.sentence(), "No scenario ran, 1 skipped.");
        let named = |name: &str, run| ScenarioResult {
            name: name.to_owned(),
            run,
            ..paths.clone()
        };
        report.scenarios = vec![named("paths", 1), named("kill", 1)];
        assert_eq!(report.sentence(), "All 2 scenarios held.");
        report.runs = 2;
        report.scenarios.extend([named("paths", 2), named("kill", 2)]);
        assert_eq!(report.sentence(), "All 4 runs of 2 scenarios held.");
        report.scenarios = vec![named("paths", 1), named("paths", 2)];
        assert_eq!(report.sentence(), "All 2 runs of 1 scenario held.");
    }

    #[test]
    fn a_complete_run_shows_objectives_that_were_not_measured() {
        let mut report = example();
        assert_eq!(report.shown(), (Objective::ALL.to_vec(), 0));
        report.filtered = true;
        let measured = vec![
            Objective::Ready,
            Objective::FailedOnStop,
            Objective::KillToLastError,
        ];
        assert_eq!(report.shown(), (measured, 10));
    }
}
