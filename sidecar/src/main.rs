//! The sidecar's program: parse, build, run, exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use sidecar::cli::Cli;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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

/// RUST_LOG has targets and levels, `debug` or `info,sidecar::mesh=debug`; without a usable one it is `info`.
fn log_to_stderr() {
    let asked = std::env::var("RUST_LOG")
        .ok()
        .and_then(|s| s.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(filter).with(lines).init();
}
