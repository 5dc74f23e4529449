//! Runs work and removes everything that it started, however it ends.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use harness::cluster::cleanup;
use harness::cluster::mesh::Ownership;
use harness::console::Progress;
use harness::engine::owner::{Owner, Process};
use harness::engine::{Engine, label};
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::watchdog::Watchdog;

/// Timeout for the work to end after the first interrupt.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);

/// New labels for a run of this process.
pub(super) fn ownership(detach: bool) -> Ownership {
    let run = format!("{:016x}", rand::random::<u64>());
    let owner = if detach {
        Owner::Detached
    } else {
        Owner::Process(Process::this())
    };
    Ownership { run, owner }
}

/// What to do with the resources of successful work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// Remove them.
    Remove,
    /// Keep them.
    Keep,
}

/// Runs `work`, and then removes everything that carries the run's label, even if the work fails, panics, or does not
/// end after an interrupt. A second interrupt cancels the work. If this process is killed, its watchdog cleans up.
pub(super) async fn guarded<T>(
    engine: &Engine,
    ownership: &Ownership,
    interrupts: &Interrupts,
    progress: &Progress,
    work: impl Future<Output = Result<(T, Afterwards), Error>>,
) -> Result<T, Error> {
    let watchdog = Watchdog::start(engine, &ownership.run)?;
    let result = ended(engine, ownership, interrupts, progress, work).await;
    watchdog.dismiss().await;
    result
}

/// Waits for the end of the work, and cleans up.
async fn ended<T>(
    engine: &Engine,
    ownership: &Ownership,
    interrupts: &Interrupts,
    progress: &Progress,
    work: impl Future<Output = Result<(T, Afterwards), Error>>,
) -> Result<T, Error> {
    let timed_out = async {
        interrupts.stop.cancelled().await;
        tokio::time::sleep(STOP_TIMEOUT).await;
    };
    // Requests in flight when the work is dropped may still create resources, which the label below finds.
    let result = tokio::select! {
        ended = AssertUnwindSafe(work).catch_unwind() => ended.unwrap_or_else(|_| Err(Error::environment(
            "the harness panicked, see above",
            "this is a bug in the harness: please report it with this output",
        ))),
        () = interrupts.force.cancelled() => Err(Error::Interrupted),
        () = timed_out => Err(Error::Interrupted),
    };
    if let Ok((value, Afterwards::Keep)) = result {
        return Ok(value);
    }
    if matches!(result, Err(Error::Check(_) | Error::Environment { .. })) {
        progress.failed();
    }
    progress.stage("removing");
    let removed = cleanup::remove_labelled(engine, label::RUN, &ownership.run).await;
    match (result, removed) {
        (Ok((value, _)), Ok(())) => {
            progress.done("nothing is left");
            Ok(value)
        }
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(error), Ok(())) => {
            progress.done("nothing is left");
            Err(error)
        }
        (Err(error), Err(left)) => {
            progress.say(&format!("some resources could not be removed: {left}"));
            Err(error)
        }
    }
}
