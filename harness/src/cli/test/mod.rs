//! `test`: runs the scenarios on a private mesh and reports the results.

mod reports;

use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use harness::cluster::checkout::Checkout;
use harness::cluster::image::Kind;
use harness::cluster::topology::Topology;
use harness::compose::cli::ComposeCli;
use harness::console::{Progress, seconds, wrapped};
use harness::engine::{Engine, Selected, label};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::invocation::command_line;
use harness::report::{self, Report};
use harness::verify::scenarios::ALL;
use harness::verify::suite::{Capabilities, Context, Scenario, Suite, SuiteResult, select};

use self::reports::Reports;
use super::guard::{Afterwards, guarded, ownership};
use super::mesh_args::{EngineArgs, MeshArgs};
use super::output::print;
use super::{listing, prepare};

/// Width of a line, in columns.
const WIDTH: usize = 80;

#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    build: prepare::BuildArgs,
    /// Run only the scenarios whose names contain TEXT; repeatable
    #[arg(long = "filter", value_name = "TEXT")]
    filters: Vec<String>,
    /// List the scenarios and exit
    #[arg(long)]
    list: bool,
    /// Run all scenarios N times, continuing after failures
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    repeat: u16,
    /// Stop at the first failure, and leave its meshes running
    #[arg(long)]
    keep: bool,
    /// What a missed objective means
    #[arg(long, value_name = "MEANING", value_enum, default_value_t)]
    objectives: ObjectivesArg,
    #[command(flatten)]
    reports: Reports,
    /// Fail, instead of skipping scenarios, if this is missing
    #[arg(long, value_name = "WHAT", value_enum)]
    require: Option<Required>,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Required {
    /// A Docker engine
    Docker,
}

/// [`report::Objectives`] as an argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum ObjectivesArg {
    /// The run fails
    #[default]
    Required,
    /// It is reported, and changes no exit code: for a busy machine
    Informative,
}

impl From<ObjectivesArg> for report::Objectives {
    fn from(argument: ObjectivesArg) -> Self {
        match argument {
            ObjectivesArg::Required => Self::Required,
            ObjectivesArg::Informative => Self::Informative,
        }
    }
}

pub(super) async fn run(
    args: TestArgs,
    before: &MeshArgs,
    started_at: Instant,
    interrupts: Interrupts,
) -> Result<ExitCode, Error> {
    let scenarios = select(ALL, &args.filters)?;
    if args.list {
        let lines: String = scenarios.iter().map(|scenario| listed(scenario)).collect();
        print(lines, &interrupts).await?;
        return Ok(ExitCode::SUCCESS);
    }
    args.reports.check()?;
    let began = SystemTime::now();
    let checkout = Checkout::find()?;
    // A unique name and free ports, so that the mesh does not collide with any other.
    let project = format!("mesh-test-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let Selected { engine, reason, .. } = args.engine.choice(before).connect().await?;
    let progress = Progress::new();
    progress.say(&format!("Runtime {}: {reason}.", engine.name()));
    super::up::sweep(&engine, &progress).await?;
    let suite = Suite {
        scenarios,
        runs: usize::from(args.repeat),
        keep: args.keep,
        capabilities: capabilities(&engine).await,
        require_docker: args.require == Some(Required::Docker),
    };

    let ownership = ownership(args.keep);
    // Declared outside the work, so that the results survive an interruption.
    let mut results = SuiteResult::default();
    let work = async {
        let build = args.build.build();
        let (mut started_at, mut cached) = (started_at, true);
        if suite.scenarios.iter().any(|scenario| scenario.requires.docker) {
            let before = Instant::now();
            let netcut = prepare::netcut(&engine, &checkout, build, &interrupts, &progress).await?;
            cached = netcut.is_none_or(|netcut| netcut.cached);
            // Only scenarios need this image: its time does not count as part of the start.
            started_at += before.elapsed();
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
        let mut ctx = Context::new(
            engine.clone(),
            topology.clone(),
            image.image,
            ownership.clone(),
            progress.clone(),
        );
        if cached {
            ctx.measure_up(started_at);
        }
        let all = suite.run(&mut ctx, &progress, &mut results);
        interrupts
            .stop
            .run_until_cancelled(all)
            .await
            .ok_or(Error::Interrupted)?;
        let afterwards = if results.kept {
            Afterwards::Keep
        } else {
            Afterwards::Remove
        };
        Ok(((), afterwards))
    };
    let ended = guarded(&engine, &ownership, &interrupts, &progress, Box::pin(work)).await;
    let interrupted = matches!(ended, Err(Error::Interrupted));
    let kept = ended.is_ok() && results.kept;
    match ended {
        Ok(()) => {}
        Err(Error::Interrupted) => suite.interrupted(&mut results),
        Err(error) if results.scenarios.is_empty() => return Err(error),
        Err(error) => {
            progress.say(&error.to_string());
            results.add_error(
                "end",
                "the run ends and leaves no containers or networks",
                suite.runs,
                &error,
            );
        }
    }
    let report = Report {
        runtime: engine.name().to_owned(),
        why: reason,
        began,
        took: started_at.elapsed(),
        runs: suite.runs,
        filtered: !args.filters.is_empty(),
        interrupted,
        scenarios: results.scenarios,
        measured: results.measured,
        load: results.load,
        objectives: args.objectives.into(),
    };
    let text = format!(
        "\n{}\n\n{} Took {}.\n",
        report::objectives(&report),
        report.sentence(),
        seconds(report.took)
    );
    // An error is ignored: the exit code has the result.
    let _ = print(format!("{}\n", wrapped(&text, WIDTH, 0)), &interrupts).await;
    let unwritten = args.reports.write(&report);
    for error in &unwritten {
        progress.say(&format!("harness: {error}"));
    }
    // Printed last, to be noticed.
    if kept && let Err(error) = print_kept_meshes(&engine, &checkout, &ownership.run, &progress).await {
        progress.say(&format!("harness: {error}"));
    }
    Ok(ExitCode::from(code(report.exit_code(), unwritten.first())))
}

/// A scenario's name, what it checks, and what it needs.
fn listed(scenario: &Scenario) -> String {
    let needs = match scenario.requires.words().join(" and ") {
        needs if needs.is_empty() => needs,
        needs => format!(" (needs {needs})"),
    };
    let line = format!("{:<18} {}{needs}", scenario.name, scenario.about);
    format!("{}\n", wrapped(&line, WIDTH, 19))
}

/// The exit code: a report that could not be written changes it only if the suite passed.
fn code(found: u8, unwritten: Option<&Error>) -> u8 {
    match (found, unwritten) {
        (0, Some(error)) => error.exit_code(),
        (found, _) => found,
    }
}

async fn capabilities(engine: &Engine) -> Capabilities {
    let docker = engine.name() == "docker";
    let compose = docker && ComposeCli::find().await.is_some();
    Capabilities { docker, compose }
}

/// Prints how to inspect and remove the meshes left running.
async fn print_kept_meshes(
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
            let line = command_line([command, "-p", project, "--runtime", name]);
            lines.push(format!("  {line}"));
        }
        let curls = listing::curl_lines(&topology, &containers);
        lines.extend(curls.iter().map(|line| format!("  {line}")));
        progress.say(&lines.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_listed_within_80_columns() {
        for scenario in ALL {
            let text = listed(scenario);
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
            assert!(text.starts_with(&format!("{} ", scenario.name)), "{text}");
        }
    }

    #[test]
    fn an_unwritten_report_does_not_hide_a_failed_suite() {
        let unwritten = Error::environment("", "");
        let codes = [0, 1, 2, 130].map(|found| code(found, Some(&unwritten)));
        assert_eq!(codes, [2, 1, 2, 130]);
        assert_eq!([0, 1, 2].map(|found| code(found, None)), [0, 1, 2]);
    }
}
