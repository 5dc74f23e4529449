//! `chaos`: runs a random schedule of faults on a private mesh; shrinks the schedule if the mesh does not recover.

mod file;
mod trial;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use harness::chaos::{self, Experiment, Schedule, generate};
use harness::cluster::checkout::Checkout;
use harness::cluster::image::Kind;
use harness::cluster::topology::Topology;
use harness::console::{Progress, seconds};
use harness::engine::Engine;
use harness::error::Error;
use harness::interrupt::Interrupts;
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::trial::ScheduleTrial;
use super::guard::{Afterwards, guarded, ownership};
use super::mesh_args::{EngineArgs, MeshArgs};
use super::prepare;

/// Bounds of `--duration`, in seconds.
const DURATIONS: std::ops::RangeInclusive<u64> = 5..=24 * 60 * 60;

#[derive(Debug, clap::Args)]
pub(super) struct ChaosArgs {
    #[command(flatten)]
    build: prepare::BuildArgs,
    /// Seed of the random faults; the same seed, duration, and runtime generate
    /// the same faults [default: random, printed]
    #[arg(long, value_name = "N", conflicts_with = "replay")]
    seed: Option<u64>,
    /// Duration of the faults, such as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, conflicts_with = "replay")]
    duration: Duration,
    /// Replay the schedule in FILE
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Do not search for a shorter failing schedule after a failure
    #[arg(long)]
    no_shrink: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn run(
    args: ChaosArgs,
    before: &MeshArgs,
    interrupts: Interrupts,
) -> Result<ExitCode, Error> {
    let checkout = Checkout::find()?;
    let given = match &args.replay {
        Some(path) => Some(file::read(path).await?),
        None => None,
    };
    let project = format!("mesh-chaos-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let selected = args.engine.choice(before).connect().await?;
    let engine = selected.engine.clone();
    let progress = Progress::new();
    progress.say(&format!("Runtime {selected}."));
    // Checks everything that can fail before the image is built.
    let (schedule, file) = match (given, &args.replay) {
        (Some(schedule), Some(file)) => {
            chaos::accepts(&engine, &topology, &schedule)?;
            (schedule, file.clone())
        }
        _ => make(&args, &engine, &topology, &checkout).await?,
    };
    let short = file::shrunk(&checkout, &file);
    if !args.no_shrink {
        file::writable(&short).await?;
    }
    super::up::sweep(&engine, &progress).await?;

    let ownership = ownership(false);
    let work = async {
        let name = topology.image.clone();
        let build = args.build.build();
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
        let experiment = Experiment {
            engine: engine.clone(),
            topology,
            image: ready.image,
            netcut: netcut.map(|netcut| netcut.image),
            ownership: ownership.clone(),
            progress: progress.clone(),
        };
        progress.say(&announced(&schedule, &file, args.replay.is_some()));
        let trial = ScheduleTrial {
            experiment,
            schedule,
            file,
            shrunk: (!args.no_shrink).then_some(short),
            interrupts: interrupts.clone(),
        };
        let recovered = interrupts
            .stop
            .run_until_cancelled(Box::pin(trial.run()))
            .await
            .ok_or(Error::Interrupted)??;
        Ok((recovered, Afterwards::Remove))
    };
    let recovered = guarded(&engine, &ownership, &interrupts, &progress, Box::pin(work)).await?;
    Ok(if recovered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Generates a schedule and writes it to a file.
async fn make(
    args: &ChaosArgs,
    engine: &Engine,
    topology: &Topology,
    checkout: &Checkout,
) -> Result<(Schedule, PathBuf), Error> {
    let seed = args.seed.unwrap_or_else(rand::random);
    let spec = chaos::schedule_spec(engine, topology, args.duration);
    let schedule = generate(seed, &mut StdRng::seed_from_u64(seed), &spec);
    let path = file::generated(checkout, seed);
    file::write(&path, &schedule).await?;
    Ok((schedule, path))
}

/// Announces the schedule and its file.
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

/// Parses a whole number of seconds or minutes.
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
        .ok_or_else(|| "expected a time such as 30s or 2m, from 5s to 1440m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_conflicts_with_seed_and_duration() {
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
    fn a_replayed_schedule_is_announced_as_read() {
        let schedule = Schedule::from_json(
            r#"{ "version": 1, "seed": 7, "duration_ms": 9000, "members": {}, "steps": [] }"#,
        )
        .unwrap();
        let text = |replayed| announced(&schedule, Path::new("a.json"), replayed);
        assert_eq!(text(false), "Seed 7: 0 faults within 9.00 s, written to a.json");
        assert_eq!(text(true), "Seed 7: 0 faults within 9.00 s, read from a.json");
    }

    #[test]
    fn durations_need_a_unit_and_are_bounded() {
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
