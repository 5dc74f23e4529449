//! `bench convergence`.

use std::process::ExitCode;

use clap::Args;
use harness::bench::convergence::{self, Part, Setting};
use harness::bench::site::Site;
use harness::console::Progress;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::mesh_args::{EngineArgs, MeshArgs};

/// What is asked of `bench convergence`.
#[derive(Debug, Args)]
pub(super) struct Wish {
    #[command(flatten)]
    build: super::super::prepare::Args,
    /// How many times to measure each part
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How many times to start a mesh; by default as many as --rounds, at most 10
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

pub(super) async fn run(wish: Wish, before: &MeshArgs, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    wish.output.tried()?;
    let setting = Setting {
        rounds: usize::from(wish.rounds),
        starts: usize::from(wish.starts.unwrap_or(wish.rounds.min(10))),
        parts: wish.only,
    };
    let choice = wish.engine.choice(before);
    let progress = Progress::new();
    let work = async |site: &Site| convergence::run(&setting, site, &progress).await;
    let figures = super::own::on(!wish.build.no_build, choice, interrupts, &progress, work).await?;
    wish.output.tell(figures.into()).await?;
    Ok(ExitCode::SUCCESS)
}
