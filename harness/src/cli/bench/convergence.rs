//! `bench convergence`.

use std::process::ExitCode;

use clap::Args;
use harness::bench::BenchMesh;
use harness::bench::convergence::{self, Options, Part};
use harness::console::Progress;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::mesh_args::{EngineArgs, MeshArgs};

/// Arguments of `bench convergence`.
#[derive(Debug, Args)]
pub(super) struct ConvergenceArgs {
    #[command(flatten)]
    build: super::super::prepare::BuildArgs,
    /// Number of measurements of each part
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Number of mesh starts to measure [default: --rounds, at most 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    starts: Option<u16>,
    /// Measure only these parts, separated by commas
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    #[command(flatten)]
    output: super::output::Output,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn run(
    args: ConvergenceArgs,
    before: &MeshArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    args.output.check_writable()?;
    let options = Options {
        rounds: usize::from(args.rounds),
        starts: usize::from(args.starts.unwrap_or(args.rounds.min(10))),
        parts: args.only,
    };
    let choice = args.engine.choice(before);
    let progress = Progress::new();
    let work = async |mesh: &BenchMesh| convergence::run(&options, mesh, &progress).await;
    let build = !args.build.no_build;
    let results = super::own_mesh::with(build, choice, interrupts, &progress, work).await?;
    args.output.write(results.into(), interrupts).await?;
    Ok(ExitCode::SUCCESS)
}
