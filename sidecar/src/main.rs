//! The sidecar's program: parse, build, run, exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use sidecar::cli::Cli;
use tracing_subscriber::EnvFilter;

/// Names are resolved on these threads, and only for SOCKS5 servers that allow any destination.
const BLOCKING_THREADS: usize = 4;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    match run(cli) {
        Ok(code) => code,
        #[expect(clippy::print_stderr, reason = "the one place where a failure is told")]
        Err(error) => {
            eprintln!("sidecar: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let task = cli.into_task()?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(task.workers())
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?
        .block_on(task.run())
}

fn log_to_stderr() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .init();
}
