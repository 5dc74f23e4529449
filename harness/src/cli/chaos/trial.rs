//! Runs one schedule and reports the result; shrinks the schedule after a failure.

use std::path::PathBuf;
use std::time::Duration;

use harness::chaos::{Experiment, ExperimentResult, Schedule, SearchEnd, TrialBudget, shrink};
use harness::console::{Progress, seconds};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::invocation::command_line;
use tokio::time::Instant;

use super::file;
use crate::cli::output::print;

/// Maximum number of shorter schedules tried after a failure.
const TRIALS: usize = 12;
/// Time after which no further trial starts.
const TRIAL_TIME: Duration = Duration::from_secs(10 * 60);

/// One schedule to run.
pub(super) struct ScheduleTrial {
    pub(super) experiment: Experiment,
    pub(super) schedule: Schedule,
    pub(super) file: PathBuf,
    /// The file for a shorter schedule; `None` to search for none.
    pub(super) shrunk: Option<PathBuf>,
    pub(super) interrupts: Interrupts,
}

impl ScheduleTrial {
    /// Runs the schedule. Returns whether the mesh recovered; if not, prints the failure and the command for a replay.
    pub(super) async fn run(&self) -> Result<bool, Error> {
        let progress = &self.experiment.progress;
        let mesh = self.experiment.launch(progress).await?;
        progress.stage("chaos");
        match self
            .experiment
            .run(mesh, &self.schedule, |line| progress.say(line))
            .await
        {
            Ok(result) => {
                progress.done("all faults are over");
                self.report(&result).await;
                return Ok(true);
            }
            Err(Error::Check(failure)) => {
                progress.failed();
                progress.say(&format!("The mesh did not recover.\n{failure}"));
            }
            Err(other) => return Err(other),
        }
        let again = match &self.shrunk {
            Some(shrunk) => self.shorter(shrunk).await,
            None => &self.file,
        };
        // An error is ignored: the exit code has the result.
        let (runtime, file) = (self.experiment.engine.name(), again.to_string_lossy());
        let replay = command_line(["chaos", "--runtime", runtime, "--replay", &file]);
        let text = format!("\nIt did not recover. To replay: {replay}\n");
        let _ = print(text, &self.interrupts).await;
        Ok(false)
    }

    async fn report(&self, result: &ExperimentResult) {
        let repeated = match result.repeated {
            0 => String::new(),
            calls => format!("\nThe engine failed {calls} calls, which then succeeded; see above."),
        };
        let text = format!(
            "\nIt recovered from {} faults: {} after the last one, all sidecars agreed and every path had answered.\n\
             {}{repeated}\n",
            result.injected.len(),
            seconds(result.converged),
            result.failures
        );
        // An error is ignored: the exit code has the result.
        let _ = print(text, &self.interrupts).await;
    }

    /// Searches for a shorter failing schedule and writes it to `path`. Returns the file of the shortest one found.
    async fn shorter<'a>(&'a self, path: &'a PathBuf) -> &'a PathBuf {
        let progress = &self.experiment.progress;
        let budget = TrialBudget {
            runs: TRIALS,
            until: Instant::now() + TRIAL_TIME,
        };
        let mut trials = 0;
        let shrunk = shrink(&self.schedule, budget, async |candidate| {
            trials += 1;
            progress.stage("shrinking");
            progress.note(&format!(
                "trial {trials} of at most {TRIALS}: {}",
                size(candidate)
            ));
            let verdict = self.fails(candidate).await;
            let result = match verdict {
                Some(true) => "still fails",
                Some(false) => "passes",
                None => "is inconclusive",
            };
            progress.done(&format!("{} {result}", size(candidate)));
            verdict
        })
        .await;
        let why = match shrunk.ended {
            SearchEnd::Shortest => "no shorter candidate fails",
            SearchEnd::Runs => "the limit of trials is reached",
            SearchEnd::Time => "the time for trials is over",
            SearchEnd::Inconclusive => "the last trial was inconclusive",
        };
        if shrunk.schedule == self.schedule {
            progress.say(&format!("No shorter failing schedule found: {why}."));
            return &self.file;
        }
        // A failed write must not hide the failure of the mesh.
        if let Err(error) = file::write(path, &shrunk.schedule).await {
            progress.say(&error.to_string());
            return &self.file;
        }
        progress.say(&format!("{} fails too ({why}):", size(&shrunk.schedule)));
        for step in &shrunk.schedule.steps {
            progress.say(&format!(
                "{:>8.3} s  {}, for {}",
                Duration::from_millis(step.at_ms).as_secs_f64(),
                step.fault,
                seconds(Duration::from_millis(step.heal_after_ms))
            ));
        }
        path
    }

    /// Whether a new mesh fails to recover from `candidate`; `None` if the trial was inconclusive.
    async fn fails(&self, candidate: &Schedule) -> Option<bool> {
        let silent = Progress::silent();
        let result = match self.experiment.launch(&silent).await {
            // The mesh did not become ready: the schedule was not tried.
            Err(error) => {
                self.experiment.progress.say(&error.to_string());
                return None;
            }
            Ok(mesh) => self.experiment.run(mesh, candidate, |_| {}).await,
        };
        match result {
            Ok(_) => Some(false),
            Err(Error::Check(_)) => Some(true),
            Err(other) => {
                self.experiment.progress.say(&other.to_string());
                None
            }
        }
    }
}

fn size(schedule: &Schedule) -> String {
    let within = seconds(Duration::from_millis(schedule.duration_ms));
    match schedule.steps.len() {
        1 => format!("1 fault within {within}"),
        count => format!("{count} faults within {within}"),
    }
}
