//! `why`: prints the timeline of a failure.

use std::path::PathBuf;
use std::process::ExitCode;

use harness::cluster::checkout::Checkout;
use harness::console::stderr;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::timeline;

use super::output::print;

#[derive(Debug, clap::Args)]
pub(super) struct WhyArgs {
    /// Timeline file named in the failure message [default: the newest]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn run(args: WhyArgs, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    let path = match args.file {
        Some(path) => path,
        None => timeline::newest(&timeline::directory(&Checkout::find()?))?,
    };
    let text = timeline::read(&path)?;
    stderr::line(&path.display().to_string());
    print(text, interrupts).await?;
    Ok(ExitCode::SUCCESS)
}
