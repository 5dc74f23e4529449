//! Work that leaves nothing behind, however it ends.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use harness::cluster::cleanup;
use harness::cluster::mesh::Ownership;
use harness::engine::owner::{Owner, Process};
use harness::engine::{Engine, label};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::report::Progress;

use super::watchdog::Watchdog;

/// Time that work has to notice that it is to stop.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// What a run of this process makes, belongs to.
pub(super) fn ownership(detach: bool) -> Ownership {
    let run = format!("{:016x}", rand::random::<u64>());
    let owner = if detach {
        Owner::Detached
    } else {
        Owner::Process(Process::this())
    };
    Ownership { run, owner }
}

/// What becomes of what was made when the work has ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// It goes.
    Remove,
    /// It stays.
    Keep,
}

/// Does `work` and then removes all that carries the run's label: when the work has ended, failed, panicked, or did
/// not stop when it was told to. A second Ctrl-C does not wait for the work. When this process is killed, its watchdog
/// does the removing.
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

async fn ended<T>(
    engine: &Engine,
    ownership: &Ownership,
    interrupts: &Interrupts,
    progress: &Progress,
    work: impl Future<Output = Result<(T, Afterwards), Error>>,
) -> Result<T, Error> {
    let too_long = async {
        interrupts.stop.cancelled().await;
        tokio::time::sleep(STOP_LIMIT).await;
    };
    // A request that is under way when the work is dropped may still make something: it is found by its label below.
    let result = tokio::select! {
        ended = AssertUnwindSafe(work).catch_unwind() => ended.unwrap_or_else(|_| Err(Error::environment(
            "the harness itself failed, see above",
            "this is a bug in the harness: please report it with this output",
        ))),
        () = interrupts.force.cancelled() => Err(Error::Interrupted),
        () = too_long => Err(Error::Interrupted),
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
            progress.say(&format!("not everything could be removed: {left}"));
            Err(error)
        }
    }
}
