//! The harness program.

mod cli;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use harness::console::stderr;
use harness::error::Error;

/// Timeout for what is left in progress at the end, such as printing to a terminal that was stopped.
const END_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let code = run(arguments).unwrap_or_else(|error| {
        stderr::paragraph(&format!("harness: {error}"));
        ExitCode::from(error.exit_code())
    });
    stderr::finish();
    code
}

fn run(arguments: cli::Arguments) -> Result<ExitCode, Error> {
    let failed = |error: std::io::Error| {
        Error::environment(
            format!("cannot start a thread: {error}"),
            "check the limit of processes (ulimit -u)",
        )
    };
    stderr::start().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let result = runtime.block_on(cli::run(arguments));
    runtime.shutdown_timeout(END_TIMEOUT);
    result
}
