//! `watchdog`: a process beside a run that takes away what the run has made when the run's own process is killed.
//! Not for people: the harness starts it.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use harness::cluster::cleanup;
use harness::engine::{Engine, EngineChoice, label};
use harness::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// What the run says when nothing is left to be done.
const FAREWELL: u8 = b'.';
/// Time in which nothing may have appeared any more: a request of the killed process may still be under way in the
/// engine.
const QUIET: Duration = Duration::from_secs(2);
/// Time that taking away may take in all.
const LIMIT: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(50);
/// Time that the watchdog has to end after a farewell.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// The watchdog as its run sees it.
#[derive(Debug)]
pub(super) struct Watchdog {
    process: Child,
}

impl Watchdog {
    /// Starts one for the run `run`.
    ///
    /// # Errors
    /// This program cannot be started a second time.
    pub(super) fn start(engine: &Engine, run: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::environment(
                format!("the harness cannot start its watchdog: {error}"),
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
        // What is sent to the run's process group is not for the watchdog.
        #[cfg(unix)]
        command.process_group(0);
        let process = command.spawn().map_err(failed)?;
        Ok(Self { process })
    }

    /// Tells it that nothing is left to be done.
    pub(super) async fn dismiss(mut self) {
        if let Some(mut stdin) = self.process.stdin.take() {
            // Where it is gone already there is nobody to tell.
            let _ = stdin.write_all(&[FAREWELL]).await;
        }
        let _ = tokio::time::timeout(FAREWELL_LIMIT, self.process.wait()).await;
    }
}

/// Waits for the run's end, which is that of standard input, and takes away what is left of it. Signals that end the
/// run are not for this process: as in every command they are heard, and here nothing is done.
pub(super) async fn run(run: &str, choice: EngineChoice) -> Result<ExitCode, Error> {
    // Before it is needed: what is left to do then is only the removing. Where it cannot be had now, it can be then.
    let mut connected = choice.connect().await.ok();
    let mut heard = Vec::new();
    let _ = tokio::io::stdin().take(1).read_to_end(&mut heard).await;
    if heard == [FAREWELL] {
        return Ok(ExitCode::SUCCESS);
    }
    let deadline = Instant::now() + LIMIT;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET && Instant::now() < deadline {
        // A busy engine may give no answer, or need longer than one attempt takes; nobody else will try again.
        let attempt = match &connected {
            Some(chosen) => cleanup::attempt(&chosen.engine, label::RUN, run).await.ok(),
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
