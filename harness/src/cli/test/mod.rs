//! `test`: every scenario, on a mesh of its own.

mod reports;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use clap::Args;
use harness::cluster::checkout::Checkout;
use harness::cluster::image::Kind;
use harness::cluster::topology::Topology;
use harness::compose::program::Program;
use harness::engine::{Engine, EngineChoice, Selected, label};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::report::{Progress, Report, seconds, table};
use harness::verify::scenarios::ALL;
use harness::verify::suite::{Done, Means, Plan, Stage, select};

use self::reports::Reports;
use super::Build;
use super::guard::{Afterwards, guarded, ownership};
use super::prepare;

/// What the user wants of `test`.
#[derive(Debug, Args)]
pub(super) struct Wish {
    #[command(flatten)]
    pub(super) build: Build,
    /// Run only scenarios whose names contain TEXT; repeatable
    #[arg(long = "filter", value_name = "TEXT")]
    filters: Vec<String>,
    /// List the scenarios and exit
    #[arg(long)]
    list: bool,
    /// Run everything N times, even after a failure
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    repeat: u16,
    /// Stop at the first failure and leave its mesh running
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    reports: Reports,
    /// Fail if a scenario would be skipped for lack of this
    #[arg(long, value_name = "WHAT", value_enum)]
    require: Option<Required>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Required {
    /// A Docker engine
    Docker,
}

pub(super) async fn run(
    choice: EngineChoice,
    wish: Wish,
    begun: Instant,
    interrupts: Interrupts,
) -> Result<ExitCode, Error> {
    let scenarios = select(ALL, &wish.filters)?;
    if wish.list {
        let rows = scenarios.iter().map(|scenario| {
            let needs = scenario.needs.words().join(", ");
            vec![scenario.name.to_owned(), needs, scenario.about.to_owned()]
        });
        let _ = writeln!(
            std::io::stdout(),
            "{}",
            table::plain(&["NAME", "NEEDS", "WHAT HOLDS"], rows)
        );
        return Ok(ExitCode::SUCCESS);
    }
    wish.reports.tried()?;
    let began = SystemTime::now();
    let checkout = Checkout::find()?;
    // A name that nobody else has, and ports that the engine finds free: it runs beside anything.
    let project = format!("mesh-test-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let Selected { engine, why, .. } = choice.connect().await?;
    let progress = Progress::new();
    progress.say(&format!("Runtime {}: {why}.", engine.name()));
    super::up::sweep(&engine, &progress).await?;
    let plan = Plan {
        scenarios,
        runs: usize::from(wish.repeat),
        keep: wish.keep,
        means: means(&engine).await,
        require_docker: wish.require == Some(Required::Docker),
    };

    // What is kept outlives this process.
    let ownership = ownership(wish.keep);
    // Not the work's, so that it is there however the work ends.
    let mut done = Done::default();
    let work = async {
        let build = !wish.build.no_build;
        let (mut begun, mut cached) = (begun, true);
        if plan.scenarios.iter().any(|scenario| scenario.needs.docker) {
            let before = Instant::now();
            let netcut = prepare::netcut(&engine, &checkout, build, &interrupts, &progress).await?;
            cached = netcut.is_none_or(|netcut| netcut.cached);
            // A mesh does without, so the time until one is ready is counted without.
            begun += before.elapsed();
        }
        let name = &topology.image;
        let image = prepare::image(
            &engine,
            &checkout,
            Kind::Mesh,
            name,
            build,
            &interrupts,
            &progress,
        )
        .await?;
        cached &= image.cached;
        let mut stage = Stage::new(
            engine.clone(),
            topology.clone(),
            image.image,
            ownership.clone(),
            progress.clone(),
        );
        if cached {
            stage.measure_up(begun);
        }
        let all = plan.run(&mut stage, &progress, &mut done);
        interrupts
            .stop
            .run_until_cancelled(all)
            .await
            .ok_or(Error::Interrupted)?;
        let afterwards = if done.kept {
            Afterwards::Keep
        } else {
            Afterwards::Remove
        };
        Ok(((), afterwards))
    };
    let ended = guarded(&engine, &ownership, &interrupts, &progress, Box::pin(work)).await;
    let interrupted = matches!(ended, Err(Error::Interrupted));
    let kept = ended.is_ok() && done.kept;
    match ended {
        Ok(()) => {}
        Err(Error::Interrupted) => plan.interrupted(&mut done),
        Err(error) if done.scenarios.is_empty() => return Err(error),
        Err(error) => {
            progress.say(&error.to_string());
            done.broken(
                "end",
                "the run comes to its end and leaves nothing",
                plan.runs,
                &error,
            );
        }
    }
    let report = Report {
        runtime: engine.name().to_owned(),
        why,
        began,
        took: begun.elapsed(),
        runs: plan.runs,
        filtered: !wish.filters.is_empty(),
        interrupted,
        scenarios: done.scenarios,
        measured: done.measured,
    };
    // The table is for people; the exit code tells the rest.
    let _ = writeln!(
        std::io::stdout(),
        "\n{}\n\n{} Took {}.",
        table::promises(&report),
        report.sentence(),
        seconds(report.took)
    );
    let unwritten = wish.reports.write(&report);
    for error in &unwritten {
        progress.say(&format!("harness: {error}"));
    }
    // Last, where it is read.
    if kept && let Err(error) = how_to_look(&engine, &checkout, &ownership.run, &progress).await {
        progress.say(&format!("harness: {error}"));
    }
    Ok(ExitCode::from(code(report.exit_code(), unwritten.first())))
}

/// A report that cannot be written does not hide what the suite has found.
fn code(found: u8, unwritten: Option<&Error>) -> u8 {
    match (found, unwritten) {
        (0, Some(error)) => error.exit_code(),
        (found, _) => found,
    }
}

async fn means(engine: &Engine) -> Means {
    let docker = engine.name() == "docker";
    let compose = docker && Program::find().await.is_some();
    Means { docker, compose }
}

/// Says how to look at the meshes of a run that stay up.
async fn how_to_look(
    engine: &Engine,
    checkout: &Checkout,
    run: &str,
    progress: &Progress,
) -> Result<(), Error> {
    let containers = engine.containers(&format!("{}={run}", label::RUN)).await?;
    let mut projects: Vec<&str> = containers
        .iter()
        .map(|container| container.label(label::PROJECT))
        .collect();
    projects.sort_unstable();
    projects.dedup();
    let name = engine.name();
    for project in projects {
        let topology: Topology = checkout.topology(project)?;
        let mut lines = vec![format!(
            "The mesh `{project}` stays up. To inspect and remove it:"
        )];
        for command in ["status", "logs", "down"] {
            lines.push(format!(
                "  cargo run -p harness -- {command} -p {project} --runtime {name}"
            ));
        }
        let curls = table::curl_lines(&topology, &containers);
        lines.extend(curls.iter().map(|line| format!("  {line}")));
        progress.say(&lines.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_red_suite_stays_red_whether_its_reports_can_be_written_or_not() {
        let unwritten = Error::environment("", "");
        let codes = [0, 1, 2, 130].map(|found| code(found, Some(&unwritten)));
        assert_eq!(codes, [2, 1, 2, 130]);
        assert_eq!([0, 1, 2].map(|found| code(found, None)), [0, 1, 2]);
    }
}
