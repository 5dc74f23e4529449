//! `bench mesh`.

use std::process::ExitCode;
use std::time::Duration;

use bench::results::Results;
use clap::{Args, ValueEnum};
use harness::bench::BenchMesh;
use harness::bench::mesh::{self, Options};
use harness::cluster::topology;
use harness::console::Progress;
use harness::engine::EngineChoice;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::mesh_args::{EngineArgs, MeshArgs, valid};

/// Interval at which a starting mesh is checked for readiness.
const READY_POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Arguments of `bench mesh`.
#[derive(Debug, Args)]
pub(super) struct MeshBenchArgs {
    #[command(flatten)]
    build: super::super::prepare::BuildArgs,
    /// Number of measurements of each path
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Concurrent connections
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Duration of each measurement, such as 2s or 500ms
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::duration)]
    duration: Duration,
    /// Measure only these entry points into the mesh, separated by commas
    #[arg(long, value_name = "ENTRY", value_enum, value_delimiter = ',')]
    via: Vec<Via>,
    #[command(flatten)]
    output: super::output::Output,
    /// Measure the running mesh of this name [default: start one]
    #[arg(short = 'p', long = "project", value_name = "NAME", value_parser = valid)]
    project: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// An entry point into the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Via {
    /// Through the frontend and its sidecar's SOCKS5 server
    Socks5,
    /// Through the frontend and its sidecar's load balancer of connections
    FrontendLb,
    /// Through the frontend and its sidecar's load balancer of requests
    FrontendHttp,
    /// Through the load balancer's container, which balances connections
    Lb,
    /// Through the load balancer's container, which balances requests
    HttpLb,
}

impl Via {
    fn entry_point(self) -> &'static str {
        match self {
            Self::Socks5 => topology::SOCKS5,
            Self::FrontendLb => topology::VIA_LB,
            Self::FrontendHttp => topology::VIA_HTTP,
            Self::Lb => topology::LB,
            Self::HttpLb => topology::HTTP_LB,
        }
    }
}

pub(super) async fn run(
    args: MeshBenchArgs,
    before: MeshArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    args.output.check_writable()?;
    let options = Options {
        rounds: usize::from(args.rounds),
        concurrency: usize::from(args.concurrency),
        duration: args.duration,
        entry_points: args.via.iter().map(|via| via.entry_point()).collect(),
    };
    let progress = Progress::new();
    let mesh = MeshArgs {
        project: args.project,
        engine: args.engine,
    };
    let mesh = mesh.or(before);
    let choice = mesh.choice();
    let results = match mesh.project {
        Some(_) => load_running(&mesh, &options, interrupts, &progress).await?,
        None => {
            let build = !args.build.no_build;
            load_own(build, choice, &options, interrupts, &progress).await?
        }
    };
    args.output.write(results.into(), interrupts).await?;
    Ok(ExitCode::SUCCESS)
}

async fn load_running(
    mesh: &MeshArgs,
    options: &Options,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Results, Error> {
    let mesh = mesh.attach().await?;
    let loaded = mesh::run(options, &mesh, progress);
    let results = interrupts.stop.run_until_cancelled(loaded).await;
    results.ok_or(Error::Interrupted).flatten()
}

async fn load_own(
    build: bool,
    choice: EngineChoice,
    options: &Options,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Results, Error> {
    let work = async |bench_mesh: &BenchMesh| {
        let (mesh, _) = bench_mesh.start(READY_POLL_INTERVAL, progress).await?;
        mesh::run(options, &mesh, progress).await
    };
    super::own_mesh::with(build, choice, interrupts, progress, work).await
}
