//! `why`: prints the timeline of a failure.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use harness::cluster::checkout::Checkout;
use harness::error::Error;
use harness::timeline;

use super::output::written;

#[derive(Debug, clap::Args)]
pub(super) struct WhyArgs {
    /// Timeline file named in the failure message [default: the newest]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn run(args: WhyArgs) -> Result<ExitCode, Error> {
    let path = match args.file {
        Some(path) => path,
        None => timeline::newest(&timeline::directory(&Checkout::find()?))?,
    };
    let text = std::fs::read(&path).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        Error::environment(what, "leave out FILE to print the newest timeline")
    })?;
    let _ = writeln!(std::io::stderr(), "{}", path.display());
    let mut output = std::io::stdout();
    written(output.write_all(&text).and_then(|()| output.flush()))?;
    Ok(ExitCode::SUCCESS)
}
