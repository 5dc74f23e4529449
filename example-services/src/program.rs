//! Log, runtime, signals and exit code, shared by the programs.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs a program on one thread until it ends. The first SIGTERM or SIGINT cancels its token. Further signals have no
/// effect, because a terminal's Ctrl-C arrives twice if a sidecar forwards it.
///
/// An error is logged once, with its causes; the exit code is then 1.
pub fn run<P, F>(program: P) -> ExitCode
where
    P: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false);
    if std::io::stderr().is_terminal() {
        // tracing-subscriber colours the lines unless NO_COLOR is set.
        lines.init();
    } else {
        lines.with_ansi(false).init();
    }
    match run_to_end(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_to_end<P, F>(program: P) -> anyhow::Result<()>
where
    P: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        // The task ends with the runtime.
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stopping.cancel();
        });
        program(stop).await
    })
}
