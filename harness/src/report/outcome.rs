//! What a run of the suite came to: the one source of every form of report.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::verify::objectives::{Measurements, Promise};

/// A run of the suite.
#[derive(Debug, Clone)]
pub struct Report {
    /// What ran the containers, as `--runtime` takes it.
    pub runtime: String,
    /// Why it was that.
    pub why: String,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How often all scenarios were to run.
    pub runs: usize,
    /// Whether only some of the scenarios were asked for.
    pub filtered: bool,
    /// Whether it was stopped before it was done.
    pub interrupted: bool,
    /// What became of each scenario, in the order in which they ran.
    pub scenarios: Vec<Outcome>,
    /// What was measured, of all runs.
    pub measured: Measurements,
}

/// What became of one scenario in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What holds when it passes.
    pub about: String,
    /// Which run it was, from 1 on.
    pub run: usize,
    /// How long it took.
    pub took: Duration,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Held,
    /// It does not.
    Failed {
        /// What was expected, what was seen, and what was collected.
        message: String,
    },
    /// It was not run.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The machine, the engine or a file would not let it: nothing is said of the mesh.
    Broken {
        /// What was in the way.
        message: String,
    },
}

impl Verdict {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Broken { .. } => "broken",
        }
    }

    /// What there is to say of it.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Held => None,
            Self::Failed { message } | Self::Broken { message } => Some(message),
            Self::Skipped { reason } => Some(reason),
        }
    }
}

/// A scenario's name, with the run where there are more than one.
pub fn name_in_run(name: &str, run: usize, runs: usize) -> String {
    if runs > 1 {
        format!("{name} (run {run})")
    } else {
        name.to_owned()
    }
}

impl Report {
    /// How many scenarios came to something of this kind.
    pub fn count(&self, of: fn(&Verdict) -> bool) -> usize {
        self.scenarios
            .iter()
            .filter(|outcome| of(&outcome.verdict))
            .count()
    }

    /// A scenario's name, with the run where there are more than one.
    pub fn name(&self, outcome: &Outcome) -> String {
        name_in_run(&outcome.name, outcome.run, self.runs)
    }

    /// So many scenarios, and where they are repeated, how many different ones.
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

    /// The promises that a table shows, and how many others were not measured. Of a run of all scenarios all are
    /// shown.
    pub(super) fn shown(&self) -> (Vec<Promise>, usize) {
        let mut shown = Promise::ALL.to_vec();
        if self.filtered || self.interrupted {
            shown.retain(|promise| self.measured.summary(*promise).is_some());
        }
        let left_out = Promise::ALL.len() - shown.len();
        (shown, left_out)
    }

    /// 0 where all held, 1 where the mesh is at fault or breaks a promise, 2 where the environment is at fault, which
    /// leaves open how the mesh would have done. 130 where it was interrupted, whatever it has found until then.
    pub fn exit_code(&self) -> u8 {
        let failed = self.count(|verdict| matches!(verdict, Verdict::Failed { .. }));
        let broken = self.count(|verdict| matches!(verdict, Verdict::Broken { .. }));
        if self.interrupted {
            Error::Interrupted.exit_code()
        } else if failed > 0 || !self.measured.broken().is_empty() {
            1
        } else if broken > 0 {
            2
        } else {
            0
        }
    }

    /// The whole in a sentence or two.
    pub fn sentence(&self) -> String {
        let ran = self.count(|verdict| !matches!(verdict, Verdict::Skipped { .. }));
        let skipped = self.scenarios.len() - ran;
        let bad: Vec<String> = self
            .scenarios
            .iter()
            .filter(|outcome| matches!(outcome.verdict, Verdict::Failed { .. } | Verdict::Broken { .. }))
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
        let broken = self.measured.broken();
        if !broken.is_empty() {
            let names: Vec<&str> = broken.iter().map(|summary| summary.promise.name()).collect();
            text.push_str(&format!(" Promises broken: {}.", names.join("; ")));
        }
        text
    }
}

#[cfg(test)]
pub(super) fn example() -> Report {
    let mut measured = Measurements::default();
    measured.add(Promise::Ready, Duration::from_millis(700));
    measured.add(Promise::Ready, Duration::from_millis(900));
    measured.add(Promise::KillToLastError, Duration::from_millis(501));
    measured.add(Promise::FailedOnStop, 0_usize);
    measured.in_flight = 3;
    let outcome = |name: &str, milliseconds, verdict| Outcome {
        name: name.to_owned(),
        about: format!("{name} does as it should"),
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
                Verdict::Broken {
                    message: "the engine went away".to_owned(),
                },
            ),
        ],
        measured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_whose_fault_it_is() {
        let mut report = example();
        assert_eq!(report.exit_code(), 1);
        report.scenarios.retain(|outcome| outcome.name != "kill");
        assert_eq!(report.exit_code(), 1, "a promise is broken");
        report.measured = Measurements::default();
        assert_eq!(report.exit_code(), 2, "the environment is at fault");
        report.scenarios.retain(|outcome| outcome.name != "rejoin");
        assert_eq!(report.exit_code(), 0, "what is skipped is no fault");
        report.measured.add(Promise::Join, Duration::from_millis(500));
        assert_eq!(report.exit_code(), 0);
        report.interrupted = true;
        assert_eq!(report.exit_code(), 130);
    }

    #[test]
    fn the_sentence_names_what_failed() {
        let mut report = example();
        assert_eq!(
            report.sentence(),
            "2 of 3 failed: kill, rejoin, 1 skipped. Promises broken: instance killed -> last error."
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
    fn the_sentence_counts_what_ran() {
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
        let named = |name: &str, run| Outcome {
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
    fn what_was_not_measured_is_shown_of_a_run_of_all_scenarios() {
        let mut report = example();
        assert_eq!(report.shown(), (Promise::ALL.to_vec(), 0));
        report.filtered = true;
        let measured = vec![Promise::Ready, Promise::FailedOnStop, Promise::KillToLastError];
        assert_eq!(report.shown(), (measured, 9));
    }
}
