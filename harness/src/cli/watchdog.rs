//! `watchdog`: a helper process that cleans up if the process of a run is killed. Started by the harness itself.
//!
//! The run holds the watchdog's standard input open, and dismisses it with one byte when the run has cleaned up itself.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use harness::cluster::cleanup;
use harness::engine::{Engine, label};
use harness::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::mesh_args::{EngineArgs, MeshArgs};

/// The byte that dismisses the watchdog.
const DISMISS: u8 = b'.';
/// Time without leftovers after which the clean-up is complete: the engine may still be executing a request of the
/// killed process.
const QUIET: Duration = Duration::from_secs(2);
/// Timeout for the whole clean-up.
const LIMIT: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(50);
/// Timeout for the watchdog's exit after its dismissal.
const DISMISS_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct WatchdogArgs {
    /// Label of the run
    run: String,
    #[command(flatten)]
    engine: EngineArgs,
}

/// The watchdog process of a run.
#[derive(Debug)]
pub(super) struct Watchdog {
    process: Child,
}

impl Watchdog {
    /// Starts a watchdog for `run`.
    ///
    /// # Errors
    /// The harness's program cannot be executed.
    pub(super) fn start(engine: &Engine, run: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::environment(
                format!("cannot start the watchdog: {error}"),
                "check that the harness's program file still exists",
            )
        };
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args(["watchdog", run, "--runtime", engine.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A signal to the run's process group must not reach the watchdog.
        #[cfg(unix)]
        command.process_group(0);
        let process = command.spawn().map_err(failed)?;
        Ok(Self { process })
    }

    /// Dismisses the watchdog after the run has cleaned up, and waits for its exit.
    pub(super) async fn dismiss(mut self) {
        if let Some(mut stdin) = self.process.stdin.take() {
            // An error means that it has exited already.
            let _ = stdin.write_all(&[DISMISS]).await;
        }
        let _ = tokio::time::timeout(DISMISS_TIMEOUT, self.process.wait()).await;
    }
}

/// Waits for the end of standard input, and removes everything labelled with the run. Signals are ignored.
pub(super) async fn run(args: WatchdogArgs, before: &MeshArgs) -> Result<ExitCode, Error> {
    let choice = args.engine.choice(before);
    // Connects in advance, to save time later; after an error, the clean-up connects again.
    let mut connected = choice.connect().await.ok();
    let mut received = Vec::new();
    let _ = tokio::io::stdin().take(1).read_to_end(&mut received).await;
    if received == [DISMISS] {
        return Ok(ExitCode::SUCCESS);
    }
    let deadline = Instant::now() + LIMIT;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET && Instant::now() < deadline {
        // Retries after an error: the engine may be busy.
        let attempt = match &connected {
            Some(selected) => cleanup::remove_once(&selected.engine, label::RUN, &args.run)
                .await
                .ok(),
            None => {
                connected = choice.connect().await.ok();
                None
            }
        };
        if attempt.is_none_or(|left| !left.is_empty()) {
            quiet_since = Instant::now();
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(ExitCode::SUCCESS)
}
