//! The executable: parses the command line, runs the sidecar, sets the exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sidecar::cli::Cli;
use sidecar::handover::RelaunchArgs;
use sidecar::log;
use sidecar::supervise::launcher;

/// Blocking threads of the main runtime: they parse large discovery messages and save the configuration.
const BLOCKING_THREADS: usize = 4;

/// Timeout for blocking threads at the end, so that a hanging disk cannot keep the process alive.
const BLOCKING_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(arguments) = cli.launch() {
        return launcher::exec(arguments);
    }
    if let Some(arguments) = cli.relaunch() {
        return relaunch(arguments);
    }
    let format = cli.log_format();
    let code = run(cli).unwrap_or_else(|error| {
        log::failure(format, &error);
        ExitCode::FAILURE
    });
    log::finish(format);
    code
}

fn relaunch(arguments: &RelaunchArgs) -> ExitCode {
    match arguments.exec() {
        Ok(never) => match never {},
        Err(error) => {
            let successor = Cli::try_parse_from(&arguments.command_line);
            log::failure(successor.map(|cli| cli.log_format()).unwrap_or_default(), &error);
            ExitCode::FAILURE
        }
    }
}

fn run(mut cli: Cli) -> anyhow::Result<ExitCode> {
    // First: the program inherits what is still unchanged, and threads inherit the blocked signals.
    let mut inherited = cli.inherit()?;
    let format = cli.log_format();
    log::init(format)?;
    #[cfg(feature = "failpoints")]
    sidecar::failpoints::activate()?;
    let earlier = inherited.state()?;
    let task = cli.into_task(earlier)?;
    // Connections are relayed on other threads, see `proxy::workers`.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?;
    // Ends with the runtime.
    runtime.spawn(log::report_repetitions(format));
    let outcome = runtime.block_on(task.run(inherited));
    runtime.shutdown_timeout(BLOCKING_TIMEOUT);
    outcome
}
