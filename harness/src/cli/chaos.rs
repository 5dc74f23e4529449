//! `chaos`: random faults under traffic, on meshes of its own; what fails is made short.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use harness::chaos::{Ended, Endured, Ground, Limits, Schedule, generate, shrink};
use harness::checkout::Checkout;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::report::{Progress, seconds};
use harness::runtime::Choice;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::guard::{Afterwards, belonging, guarded};
use super::prepare;

/// Shorter schedules that are tried after a failure.
const TRIALS: usize = 12;
/// Time after which no other is tried.
const TRIAL_TIME: Duration = Duration::from_secs(10 * 60);
/// The shortest and the longest time that there can be faults.
const DURATIONS: std::ops::RangeInclusive<u64> = 5..=24 * 60 * 60;

/// What is asked of `chaos`.
#[derive(Debug, Args)]
pub(super) struct Wish {
    #[command(flatten)]
    build: super::Build,
    /// What the faults are made from: the same number makes the same ones [default: a random one, printed]
    #[arg(long, value_name = "N", conflicts_with = "replay")]
    seed: Option<u64>,
    /// How long there are faults, such as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, conflicts_with = "replay")]
    duration: Duration,
    /// Do again what this file says
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// After a failure do not look for a shorter schedule that fails too
    #[arg(long)]
    no_shrink: bool,
}

pub(super) async fn run(wish: Wish, choice: Choice, interrupts: Interrupts) -> Result<ExitCode, Error> {
    let checkout = Checkout::find()?;
    let given = match &wish.replay {
        Some(file) => Some(read(file).await?),
        None => None,
    };
    let project = format!("mesh-chaos-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let chosen = choice.connect().await?;
    let runtime = chosen.runtime.clone();
    let progress = Progress::new();
    progress.say(&format!("Runtime {chosen}."));
    super::up::sweep(&runtime, &progress).await?;

    let belonging = belonging(false);
    let work = async {
        let name = topology.image.clone();
        let build = !wish.build.no_build;
        let ready = prepare::image(&runtime, &checkout, &name, build, &interrupts, &progress).await?;
        let wire = prepare::wire(&runtime, &checkout, build, &interrupts, &progress).await?;
        let ground = Ground {
            runtime: runtime.clone(),
            topology,
            image: ready.image,
            wire: wire.map(|wire| wire.image),
            belonging: belonging.clone(),
            progress: progress.clone(),
        };
        let (schedule, file) = match (given, &wish.replay) {
            (Some(schedule), Some(file)) => {
                ground.accepts(&schedule)?;
                (schedule, file.clone())
            }
            _ => make(&wish, &ground, &checkout).await?,
        };
        progress.say(&format!(
            "Seed {}: {} faults within {}, written down in {}",
            schedule.seed,
            schedule.steps.len(),
            seconds(Duration::from_millis(schedule.duration_ms)),
            file.display()
        ));
        let trial = Trial {
            ground,
            schedule,
            file,
            directory: directory(&checkout),
            shrink: !wish.no_shrink,
        };
        let held = interrupts
            .stop
            .run_until_cancelled(trial.run())
            .await
            .ok_or(Error::Interrupted)??;
        Ok((held, Afterwards::Remove))
    };
    let held = guarded(&runtime, &belonging, &interrupts, &progress, Box::pin(work)).await?;
    Ok(if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Makes a schedule and writes it down.
async fn make(wish: &Wish, ground: &Ground, checkout: &Checkout) -> Result<(Schedule, PathBuf), Error> {
    let seed = wish.seed.unwrap_or_else(rand::random);
    let plan = ground.plan(wish.duration);
    let schedule = generate(seed, &mut StdRng::seed_from_u64(seed), &plan);
    let file = directory(checkout).join(format!("chaos-{seed}.json"));
    write(&file, &schedule).await?;
    Ok((schedule, file))
}

/// One schedule, and what is done with it.
struct Trial {
    ground: Ground,
    schedule: Schedule,
    file: PathBuf,
    directory: PathBuf,
    shrink: bool,
}

impl Trial {
    /// Whether the mesh has endured it. Where it has not, the failure is printed, and so is a shorter schedule.
    async fn run(&self) -> Result<bool, Error> {
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
                progress.say(&format!("The mesh has not endured it.\n{failure}"));
            }
            Err(other) => return Err(other),
        }
        let again = if self.shrink {
            self.shorter().await?
        } else {
            self.file.clone()
        };
        // Where nobody reads standard output any more, the exit code still tells.
        let _ = writeln!(
            std::io::stdout(),
            "\nIt does not hold. Again: cargo run -p harness -- chaos --runtime {} --replay {}",
            self.ground.runtime.name(),
            again.display()
        );
        Ok(false)
    }

    fn report(&self, endured: &Endured) {
        let _ = writeln!(
            std::io::stdout(),
            "\nIt held: {} faults; {} after the last one all sidecars saw the same mesh and every path had answered.\n{}",
            endured.troubles.len(),
            seconds(endured.agreed),
            endured.ledger
        );
    }

    /// The file of a shorter schedule that fails, or of the first one.
    async fn shorter(&self) -> Result<PathBuf, Error> {
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
            Ended::Runs => "as many were tried as may be",
            Ended::Time => "there is no more time",
            Ended::Untold => "the last one could not be tried",
        };
        if shrunk.schedule == self.schedule {
            progress.say(&format!("No shorter schedule fails every time: {why}."));
            return Ok(self.file.clone());
        }
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let file = self.directory.join(format!("{stem}-short.json"));
        write(&file, &shrunk.schedule).await?;
        progress.say(&format!("{} fails too ({why}):", size(&shrunk.schedule)));
        for step in &shrunk.schedule.steps {
            progress.say(&format!(
                "{:>8.3} s  {}, for {}",
                Duration::from_millis(step.at_ms).as_secs_f64(),
                step.fault,
                seconds(Duration::from_millis(step.heal_after_ms))
            ));
        }
        Ok(file)
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

fn directory(checkout: &Checkout) -> PathBuf {
    checkout.root().join("target/harness")
}

async fn write(file: &Path, schedule: &Schedule) -> Result<(), Error> {
    let written = async {
        if let Some(directory) = file.parent() {
            tokio::fs::create_dir_all(directory).await?;
        }
        tokio::fs::write(file, schedule.to_json()).await
    };
    written.await.map_err(|error: std::io::Error| {
        Error::environment(
            format!("{} cannot be written: {error}", file.display()),
            "run it where the checkout may be written to",
        )
    })
}

async fn read(file: &Path) -> Result<Schedule, Error> {
    let text = tokio::fs::read_to_string(file).await.map_err(|error| {
        Error::environment(
            format!("{} cannot be read: {error}", file.display()),
            "name a file that `harness chaos` has written",
        )
    })?;
    Schedule::from_json(&text).map_err(|error| {
        Error::environment(
            format!("{} is no schedule: {error}", file.display()),
            "correct it, or name a file that `harness chaos` has written",
        )
    })
}

/// A whole number of seconds or minutes.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => (text, 0),
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    seconds
        .filter(|seconds| DURATIONS.contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a time such as 30s or 2m, at least 5s and at most 1440m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_takes_neither_seed_nor_duration() {
        use clap::Parser;
        let parse = |words: &[&str]| {
            let line = ["harness", "chaos"].iter().chain(words);
            super::super::Arguments::try_parse_from(line).is_ok()
        };
        assert!(parse(&[
            "--seed",
            "7",
            "--duration",
            "2m",
            "--no-shrink",
            "--no-build"
        ]));
        assert!(parse(&["--replay", "file.json"]));
        assert!(!parse(&["--replay", "file.json", "--seed", "7"]));
        assert!(!parse(&["--replay", "file.json", "--duration", "30s"]));
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        for (text, seconds) in [("30s", 30), ("2m", 120), ("5s", 5), ("1440m", 86_400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "30",
            "4s",
            "0m",
            "1441m",
            "-5s",
            "1h",
            "1.5m",
            "18446744073709551615m",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
