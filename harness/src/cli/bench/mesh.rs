//! `bench mesh`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use harness::bench::mesh::{self, Setting};
use harness::bench::results::Results;
use harness::bench::site::Site;
use harness::cluster::topology;
use harness::console::Progress;
use harness::engine::EngineChoice;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::attach::attach;
use super::super::mesh_args::{EngineArgs, MeshArgs, valid};

/// Time between two looks whether the mesh is ready.
const PERIOD: Duration = Duration::from_millis(25);

/// What is asked of `bench mesh`.
#[derive(Debug, Args)]
pub(super) struct Wish {
    #[command(flatten)]
    build: super::super::prepare::Args,
    /// How many times to measure each path
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Concurrent connections
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Length of each measurement, such as 2s or 500ms
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::duration)]
    duration: Duration,
    /// Measure only these ways into the mesh, separated by commas
    #[arg(long, value_name = "WAY", value_enum, value_delimiter = ',')]
    via: Vec<Via>,
    #[command(flatten)]
    output: super::output::Output,
    /// Measure the running mesh of this name [default: start one]
    #[arg(short = 'p', long = "project", value_name = "NAME", value_parser = valid)]
    project: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// A way into the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Via {
    /// Through the frontend and its sidecar's SOCKS5 server
    Socks5,
    /// Through the frontend and its sidecar's load balancer
    FrontendLb,
    /// Through the load balancer's container
    Lb,
}

impl Via {
    fn way(self) -> &'static str {
        match self {
            Self::Socks5 => topology::SOCKS5,
            Self::FrontendLb => topology::VIA_LB,
            Self::Lb => topology::LB,
        }
    }
}

/// Loads the mesh of this name, or one of its own.
pub(super) async fn run(wish: Wish, before: MeshArgs, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    wish.output.tried()?;
    let setting = Setting {
        rounds: usize::from(wish.rounds),
        concurrency: usize::from(wish.concurrency),
        duration: wish.duration,
        ways: wish.via.iter().map(|via| via.way()).collect(),
    };
    let progress = Progress::new();
    let place = MeshArgs {
        project: wish.project,
        engine: wish.engine,
    };
    let place = place.or(before);
    let choice = place.choice();
    let results = match place.project {
        Some(project) => running(&project, choice, &setting, interrupts, &progress).await?,
        None => {
            let build = !wish.build.no_build;
            own(build, choice, &setting, interrupts, &progress).await?
        }
    };
    wish.output.tell(results.into()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn running(
    project: &str,
    choice: EngineChoice,
    setting: &Setting,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Results, Error> {
    let mesh = attach(project, choice).await?;
    let loaded = mesh::run(setting, &mesh, progress);
    let results = interrupts.stop.run_until_cancelled(loaded).await;
    results.ok_or(Error::Interrupted).flatten()
}

async fn own(
    build: bool,
    choice: EngineChoice,
    setting: &Setting,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Results, Error> {
    let work = async |site: &Site| {
        let (mesh, _) = site.start(PERIOD, progress).await?;
        mesh::run(setting, &mesh, progress).await
    };
    super::own::on(build, choice, interrupts, progress, work).await
}
