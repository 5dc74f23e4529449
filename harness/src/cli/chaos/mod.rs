//! `chaos`: random faults under traffic, on meshes of its own; what fails is made short.

mod file;
mod trial;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use harness::chaos::{self, Ground, Schedule, generate};
use harness::cluster::checkout::Checkout;
use harness::cluster::image::Kind;
use harness::cluster::topology::Topology;
use harness::engine::{Engine, EngineChoice};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::report::{Progress, seconds};
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::trial::Trial;
use super::guard::{Afterwards, guarded, ownership};
use super::prepare;

/// The shortest and the longest time that there can be faults.
const DURATIONS: std::ops::RangeInclusive<u64> = 5..=24 * 60 * 60;

/// What is asked of `chaos`.
#[derive(Debug, Args)]
pub(super) struct Wish {
    #[command(flatten)]
    build: super::Build,
    /// Seed of the random faults: with the same duration and runtime it makes the same ones [default: random, printed]
    #[arg(long, value_name = "N", conflicts_with = "replay")]
    seed: Option<u64>,
    /// How long to inject faults, such as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, conflicts_with = "replay")]
    duration: Duration,
    /// Replay the schedule in this file
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// After a failure, do not search for a shorter schedule that fails too
    #[arg(long)]
    no_shrink: bool,
}

pub(super) async fn run(wish: Wish, choice: EngineChoice, interrupts: Interrupts) -> Result<ExitCode, Error> {
    let checkout = Checkout::find()?;
    let given = match &wish.replay {
        Some(path) => Some(file::read(path).await?),
        None => None,
    };
    let project = format!("mesh-chaos-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let chosen = choice.connect().await?;
    let engine = chosen.engine.clone();
    let progress = Progress::new();
    progress.say(&format!("Runtime {chosen}."));
    // All that stands in its way is told before anything is built.
    let (schedule, file) = match (given, &wish.replay) {
        (Some(schedule), Some(file)) => {
            chaos::accepts(&engine, &topology, &schedule)?;
            (schedule, file.clone())
        }
        _ => make(&wish, &engine, &topology, &checkout).await?,
    };
    let short = file::short(&checkout, &file);
    if !wish.no_shrink {
        file::writable(&short).await?;
    }
    super::up::sweep(&engine, &progress).await?;

    let ownership = ownership(false);
    let work = async {
        let name = topology.image.clone();
        let build = !wish.build.no_build;
        let ready = prepare::image(
            &engine,
            &checkout,
            Kind::Mesh,
            &name,
            build,
            &interrupts,
            &progress,
        )
        .await?;
        let netcut = prepare::netcut(&engine, &checkout, build, &interrupts, &progress).await?;
        let ground = Ground {
            engine: engine.clone(),
            topology,
            image: ready.image,
            netcut: netcut.map(|netcut| netcut.image),
            ownership: ownership.clone(),
            progress: progress.clone(),
        };
        progress.say(&announced(&schedule, &file, wish.replay.is_some()));
        let trial = Trial {
            ground,
            schedule,
            file,
            short: (!wish.no_shrink).then_some(short),
        };
        let held = interrupts
            .stop
            .run_until_cancelled(Box::pin(trial.run()))
            .await
            .ok_or(Error::Interrupted)??;
        Ok((held, Afterwards::Remove))
    };
    let held = guarded(&engine, &ownership, &interrupts, &progress, Box::pin(work)).await?;
    Ok(if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Makes a schedule and writes it down.
async fn make(
    wish: &Wish,
    engine: &Engine,
    topology: &Topology,
    checkout: &Checkout,
) -> Result<(Schedule, PathBuf), Error> {
    let seed = wish.seed.unwrap_or_else(rand::random);
    let plan = chaos::plan(engine, topology, wish.duration);
    let schedule = generate(seed, &mut StdRng::seed_from_u64(seed), &plan);
    let path = file::made(checkout, seed);
    file::write(&path, &schedule).await?;
    Ok((schedule, path))
}

/// What is about to be done, and which file has it.
fn announced(schedule: &Schedule, file: &Path, replayed: bool) -> String {
    format!(
        "Seed {}: {} faults within {}, {} {}",
        schedule.seed,
        schedule.steps.len(),
        seconds(Duration::from_millis(schedule.duration_ms)),
        if replayed { "read from" } else { "written to" },
        file.display()
    )
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
    fn a_file_that_is_replayed_is_said_to_be_read() {
        let schedule = Schedule::from_json(
            r#"{ "version": 1, "seed": 7, "duration_ms": 9000, "members": {}, "steps": [] }"#,
        )
        .unwrap();
        let told = |replayed| announced(&schedule, Path::new("a.json"), replayed);
        assert_eq!(told(false), "Seed 7: 0 faults within 9.00 s, written to a.json");
        assert_eq!(told(true), "Seed 7: 0 faults within 9.00 s, read from a.json");
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
