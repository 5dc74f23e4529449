//! What the programs' `main` functions share: log, runtime, signals, exit code.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs a program to its end on one thread. The token that it is given is cancelled by the first SIGTERM or
/// SIGINT; further ones change nothing, because a terminal's Ctrl-C arrives twice where a sidecar forwards it.
///
/// An error is logged once, with its causes, and makes the exit code 1.
pub fn run<P, F>(program: P) -> ExitCode
where
    P: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let forbidden = std::env::var_os("NO_COLOR");
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(colored(std::io::stderr().is_terminal(), forbidden.as_deref()))
        .with_target(false)
        .init();
    match run_to_end(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// By the custom of <https://no-color.org>, a variable that is empty says nothing.
fn colored(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
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
        // Lives as long as the runtime, which the program's end takes down.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_colours_only_on_a_terminal_whose_user_has_not_forbidden_them() {
        assert!(colored(true, None));
        assert!(colored(true, Some(OsStr::new(""))));
        assert!(!colored(true, Some(OsStr::new("1"))));
        assert!(!colored(false, None));
    }
}
