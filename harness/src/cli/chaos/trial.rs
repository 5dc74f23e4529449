//! One schedule done to a mesh, and what is told of it; what fails is made short.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use harness::chaos::{Ended, Endured, Ground, Limits, Schedule, shrink};
use harness::error::Error;
use harness::report::{Progress, seconds};
use tokio::time::Instant;

use super::file;

/// Shorter schedules that are tried after a failure.
const TRIALS: usize = 12;
/// Time after which no other is tried.
const TRIAL_TIME: Duration = Duration::from_secs(10 * 60);

/// One schedule, and what is done with it.
pub(super) struct Trial {
    pub(super) ground: Ground,
    pub(super) schedule: Schedule,
    pub(super) file: PathBuf,
    /// Where a shorter one is written; none where none is looked for.
    pub(super) short: Option<PathBuf>,
}

impl Trial {
    /// Whether the mesh has endured it. Where it has not, the failure is printed, and so is a shorter schedule.
    pub(super) async fn run(&self) -> Result<bool, Error> {
        let progress = &self.ground.progress;
        let mesh = self.ground.launch(progress).await?;
        progress.stage("chaos");
        match self
            .ground
            .endure(mesh, &self.schedule, |line| progress.say(line))
            .await
        {
            Ok(endured) => {
                progress.done("all faults are over");
                self.report(&endured);
                return Ok(true);
            }
            Err(Error::Check(failure)) => {
                progress.failed();
                progress.say(&format!("The mesh did not hold up.\n{failure}"));
            }
            Err(other) => return Err(other),
        }
        let again = match &self.short {
            Some(short) => self.shorter(short).await,
            None => &self.file,
        };
        // Where nobody reads standard output any more, the exit code still tells.
        let _ = writeln!(
            std::io::stdout(),
            "\nIt did not hold. To replay it: cargo run -p harness -- chaos --runtime {} --replay {}",
            self.ground.engine.name(),
            again.display()
        );
        Ok(false)
    }

    fn report(&self, endured: &Endured) {
        let _ = writeln!(
            std::io::stdout(),
            "\nIt held: {} faults; {} after the last one, all sidecars agreed and every path had answered.\n{}",
            endured.troubles.len(),
            seconds(endured.agreed),
            endured.ledger
        );
    }

    /// The file of a shorter schedule that fails, written to `path`, or of the first one.
    async fn shorter<'a>(&'a self, path: &'a PathBuf) -> &'a PathBuf {
        let progress = &self.ground.progress;
        let limits = Limits {
            runs: TRIALS,
            until: Instant::now() + TRIAL_TIME,
        };
        let mut trials = 0;
        let shrunk = shrink(&self.schedule, limits, async |candidate| {
            trials += 1;
            progress.stage("shrinking");
            progress.note(&format!(
                "trial {trials} of at most {TRIALS}: {}",
                size(candidate)
            ));
            let verdict = self.fails(candidate).await;
            let told = match verdict {
                Some(true) => "still fails",
                Some(false) => "holds",
                None => "could not be tried",
            };
            progress.done(&format!("{} {told}", size(candidate)));
            verdict
        })
        .await;
        let why = match shrunk.ended {
            Ended::Shortest => "nothing shorter that was tried fails",
            Ended::Runs => "the limit of trials was reached",
            Ended::Time => "the time for trials was up",
            Ended::Untold => "the last one could not be tried",
        };
        if shrunk.schedule == self.schedule {
            progress.say(&format!("No shorter schedule fails every time: {why}."));
            return &self.file;
        }
        // The mesh has failed, whether this can be written or not.
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

    /// Whether a fresh mesh does not endure `candidate`; nothing where that cannot be told.
    async fn fails(&self, candidate: &Schedule) -> Option<bool> {
        let silent = Progress::silent();
        let result = match self.ground.launch(&silent).await {
            // Whether it endures this, a mesh that was not ready does not tell.
            Err(error) => {
                self.ground.progress.say(&error.to_string());
                return None;
            }
            Ok(mesh) => self.ground.endure(mesh, candidate, |_| {}).await,
        };
        match result {
            Ok(_) => Some(false),
            Err(Error::Check(_)) => Some(true),
            Err(other) => {
                self.ground.progress.say(&other.to_string());
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
