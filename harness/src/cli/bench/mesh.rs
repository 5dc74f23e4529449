//! `bench mesh`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use harness::bench::mesh::{self, Setting};
use harness::bench::results::Results;
use harness::checkout::Checkout;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::mesh::Mesh;
use harness::report::Progress;
use harness::runtime::Choice;
use harness::suite::READY_LIMIT;
use harness::topology;

use super::super::guard::{Afterwards, belonging, guarded};
use super::super::{prepare, up};

/// What is asked of `bench mesh`.
#[derive(Debug, Args)]
pub(super) struct Wish {
    #[command(flatten)]
    build: super::super::Build,
    /// How often each path has its turn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// How long a turn is, such as 5s or 500ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = super::duration)]
    duration: Duration,
    /// Load only these ways, by commas
    #[arg(long, value_name = "WAY", value_enum, value_delimiter = ',')]
    via: Vec<Via>,
    #[command(flatten)]
    output: super::Output,
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
pub(super) async fn run(
    wish: Wish,
    project: Option<String>,
    choice: Choice,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let setting = Setting {
        rounds: usize::from(wish.rounds),
        concurrency: usize::from(wish.concurrency),
        duration: wish.duration,
        ways: wish.via.iter().map(|via| via.way()).collect(),
    };
    let progress = Progress::new();
    let results = match project {
        Some(project) => running(&project, choice, &setting, interrupts, &progress).await?,
        None => {
            let build = !wish.build.no_build;
            own(build, choice, &setting, interrupts, &progress).await?
        }
    };
    super::tell(&results, &wish.output).await?;
    Ok(ExitCode::SUCCESS)
}

async fn running(
    project: &str,
    choice: Choice,
    setting: &Setting,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Results, Error> {
    let topology = Checkout::find()?.topology(project)?;
    let runtime = choice.connect_to(project).await?.runtime;
    let mesh = Mesh::attach(&runtime, topology).await?;
    let loaded = mesh::run(setting, &mesh, progress);
    let results = interrupts.stop.run_until_cancelled(loaded).await;
    results.ok_or(Error::Interrupted).flatten()
}

async fn own(
    build: bool,
    choice: Choice,
    setting: &Setting,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Results, Error> {
    let checkout = Checkout::find()?;
    let project = format!("mesh-bench-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let chosen = choice.connect().await?;
    let runtime = chosen.runtime.clone();
    progress.say(&format!("Runtime {chosen}."));
    up::sweep(&runtime, progress).await?;
    let belonging = belonging(false);
    let work = async {
        let image = prepare::image(&runtime, &checkout, &topology.image, build, interrupts, progress).await?;
        let loaded = async {
            let topology = topology.clone();
            let mesh = Mesh::start(&runtime, topology, &image.image, &belonging, progress).await?;
            progress.stage("converging");
            let took = mesh.ready(READY_LIMIT, progress).await?;
            progress.done(&format!("every path answers, {took:.2?} after the last start"));
            mesh::run(setting, &mesh, progress).await
        };
        let results = interrupts.stop.run_until_cancelled(loaded).await;
        Ok((results.ok_or(Error::Interrupted)??, Afterwards::Remove))
    };
    guarded(&runtime, &belonging, interrupts, progress, Box::pin(work)).await
}
