//! An engine that runs containers as processes of this machine, without Docker and without root. Linux only.
//!
//! Each node has its own address in 127.0.0.0/8, its own copies of the config files, and its own process group. There
//! is no other isolation. There is no daemon: each harness process opens the same state directory and reads the state
//! of the processes from `/proc`.
//!
//! **On disk**, in `$TMPDIR/service-mesh-UID` (mode 0700), see `store.rs`:
//!
//! ```text
//! lock                           held (flock) by a process that changes the directory
//! images/DIGEST/root/            an unpacked image; its metadata is in images/DIGEST/image.json
//! names/HASH                     the image that a name refers to
//! networks/ID/network.json       a /24 of 127.0.0.0/8; last.json has the address assigned last
//! containers/ID/container.json   the container's settings
//!               etc/             its config files, rewritten for its address (loopback.rs)
//!               run.json         its current or last run: mark, shell, start time
//!               log              the output of its processes
//!               exit_code        of its last run
//! tmp/                           files and directories that are being written or removed
//! ```
//!
//! **Processes.** `start` spawns a shell that runs the sidecar and writes its exit code to `exit_code`, so that the
//! code is known even if the harness has ended. All processes of a run have the run's mark in their environment, by
//! which any harness process finds and signals them (`tree.rs`, `signals.rs`). A container is running while its shell,
//! which is identified by process id and start time, is running. A task of the harness process that started it waits
//! for the shell, kills the remaining processes of the run, and holds the sidecar's standard input open if it has a
//! lifeline.
//!
//! **kill -9.** Files and directories are written under `tmp` and renamed to their final path, and a directory is
//! renamed to `tmp` before it is removed; the next opening of the state empties `tmp`. Exit codes and logs are written
//! in place. If a harness is killed, its lifelines close and its sidecars stop; then its watchdog process
//! (`cli/watchdog.rs`) removes its containers and networks. If the watchdog is killed too, the next command that starts
//! or removes a mesh does that (`cluster::cleanup::sweep`). Detached sidecars keep running, and a later `down` finds
//! them. A harness that is killed after it spawned a shell and before it wrote `run.json` leaves a run that `start` and
//! `stop` do not know; `remove` finds and kills its processes by the mark, which begins with the container's id.
//!
//! **Logs and events.** A log is a file that readers follow by polling. Events stay in the memory of the process that
//! caused them (`events.rs`); other processes do not receive them.

mod container;
mod events;
mod image;
mod logs;
mod loopback;
mod network;
mod record;
mod signals;
mod start;
mod status;
mod store;
mod timestamps;
mod tree;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use self::events::Events;
use self::store::Store;
use super::EngineError;

/// The process engine; cheap to clone. [`super::Engine`] documents its operations.
#[derive(Debug, Clone)]
pub struct Processes {
    core: Arc<Core>,
    /// Tasks that change the state. They run to completion even if their callers are dropped.
    working: TaskTracker,
}

/// The blocking part of the engine, without tasks.
#[derive(Debug)]
struct Core {
    store: Store,
    events: Events,
}

impl Processes {
    /// Opens this user's engine, whose state is in the system's directory for temporary files.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`], or [`EngineError::State`] if other users have access to the directory.
    pub fn open() -> Result<Self, EngineError> {
        let user = rustix::process::getuid().as_raw();
        Self::open_in(std::env::temp_dir().join(format!("service-mesh-{user}")))
    }

    /// Opens the engine whose state is in `directory`.
    ///
    /// # Errors
    /// As [`Processes::open`].
    pub fn open_in(directory: PathBuf) -> Result<Self, EngineError> {
        supported(std::env::consts::OS)?;
        Ok(Self {
            core: Arc::new(Core {
                store: Store::open(directory)?,
                events: Events::default(),
            }),
            working: TaskTracker::new(),
        })
    }

    pub(crate) async fn settled(&self) {
        self.working.close();
        self.working.wait().await;
        self.working.reopen();
    }

    /// Runs `work` on a blocking thread, to completion even if the caller is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Core) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let core = Arc::clone(&self.core);
        let done = self.working.spawn_blocking(move || work(&core)).await;
        done.unwrap_or_else(|error| Err(failed("working on the state")(io::Error::other(error))))
    }
}

/// Only Linux lists processes in `/proc` and accepts every address of 127.0.0.0/8 without configuration.
fn supported(system: &str) -> Result<(), EngineError> {
    match system {
        "linux" => Ok(()),
        _ => Err(EngineError::Unsupported {
            system: system.to_owned(),
        }),
    }
}

/// Adds the failed operation to the system's error.
fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> EngineError {
    move |error| EngineError::Other {
        what: what.into(),
        reason: error.to_string(),
    }
}

/// Whether `labels` have the label `name`, or `name=value`.
fn labelled(labels: &BTreeMap<String, String>, with_label: &str) -> bool {
    match with_label.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(with_label),
    }
}
