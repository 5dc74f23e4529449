//! `why`: what happened around the failure of a scenario or of a run of chaos.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use harness::cluster::checkout::Checkout;
use harness::error::Error;
use harness::timeline;

use super::output::wanted;

/// Prints `file`, or the newest that there is.
pub(super) fn run(file: Option<PathBuf>) -> Result<ExitCode, Error> {
    let path = match file {
        Some(path) => path,
        None => timeline::newest(&timeline::directory(&Checkout::find()?))?,
    };
    let text = std::fs::read(&path).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        Error::environment(what, "leave out the name to see the newest file")
    })?;
    let _ = writeln!(std::io::stderr(), "{}", path.display());
    let mut output = std::io::stdout();
    wanted(output.write_all(&text).and_then(|()| output.flush()))?;
    Ok(ExitCode::SUCCESS)
}
