//! Log, runtime, signals and exit code, shared by the programs.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use stderr_writer::{BlockingStderr, StderrWriter};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format};
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder};

/// Runs a program on one thread until it ends. The first SIGTERM or SIGINT cancels its token. Further signals have no
/// effect, because a terminal's Ctrl-C arrives twice if a sidecar forwards it.
///
/// An error is logged once, with its causes; the exit code is then 1.
pub fn run<P, F>(program: P) -> ExitCode
where
    P: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let writer = match log() {
        Ok(writer) => writer,
        Err(error) => {
            // An error is ignored: the exit code remains.
            let _ = writeln!(
                std::io::stderr(),
                "cannot start the thread that writes the log: {error}"
            );
            return ExitCode::FAILURE;
        }
    };
    let code = match run_to_end(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    };
    writer.finish();
    code
}

/// Starts the log, which never waits for its reader.
fn log() -> std::io::Result<StderrWriter> {
    let writer = StderrWriter::start(|lines| {
        let direct = lines_to(|| BlockingStderr).finish();
        tracing::subscriber::with_default(direct, || {
            tracing::warn!("{lines} lines were dropped, because standard error was not read");
        });
    })?;
    let buffered = writer.clone();
    lines_to(move || buffered.clone()).init();
    // The default hook would wait for standard error.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(writer)
}

/// Writes lines, coloured on a terminal unless NO_COLOR is set.
fn lines_to<W>(writer: W) -> SubscriberBuilder<DefaultFields, Format, LevelFilter, W>
where
    W: for<'a> MakeWriter<'a> + 'static,
{
    let lines = tracing_subscriber::fmt().with_target(false).with_writer(writer);
    if std::io::stderr().is_terminal() {
        lines
    } else {
        lines.with_ansi(false)
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
