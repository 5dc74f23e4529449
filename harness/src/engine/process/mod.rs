//! An engine that runs containers as processes of this machine, without Docker and without root. Linux only.
//!
//! Each node has an address of its own in 127.0.0.0/8, its own copies of the config files, and a process group.
//! There is no other isolation. No process of the engine runs beside the nodes: each harness process opens the same
//! state directory, and what it does not find there it reads from `/proc`.
//!
//! **On disk**, in `$TMPDIR/service-mesh-UID` (mode 0700), see `store.rs`:
//!
//! ```text
//! lock                           held (flock) by a process that changes anything here
//! images/DIGEST/root/            an unpacked image, with image.json beside it
//! names/HASH                     the image that a name refers to
//! networks/ID/network.json       a /24 of 127.0.0.0/8, with last.json: the address given out last
//! containers/ID/container.json   what the container was created from
//!               etc/             its config files, rewritten for its address (loopback.rs)
//!               run.json         its present or last run: mark, first process, start time
//!               log              all that its processes wrote
//!               exit_code        of its last run
//! tmp/                           directories that are being written or removed
//! ```
//!
//! **Processes.** `start` spawns a shell that runs the sidecar and writes its exit code to `exit_code`; so the code is
//! known even if the harness has ended by then. All processes of a run carry the run's mark in their environment,
//! by which any harness process finds them and signals them (`tree.rs`, `signals.rs`). A container runs as long as
//! the shell does, which is identified by process id and start time. A task of the harness process that started it
//! waits for the shell, kills what is left of the run, and holds the sidecar's standard input if it has a lifeline.
//!
//! **kill -9.** Directories are complete before they are renamed to their place and renamed away before they are
//! removed; files are replaced by renaming; what is left in `tmp` goes at the next opening. A killed harness closes the
//! lifelines, so its sidecars stop by themselves; detached ones run on, and `down` of a later process finds them.
//!
//! **Logs and events.** A log is a file, which readers follow by polling. Events are kept in the memory of the process
//! that caused them (`events.rs`); another process's are not seen.

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
    /// Work on the state. It runs to its end even if its caller is dropped.
    working: TaskTracker,
}

/// The engine without tasks: its methods block.
#[derive(Debug)]
struct Core {
    store: Store,
    events: Events,
}

impl Processes {
    /// Opens the engine of this user, in the system's directory for temporary files.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`], or [`EngineError::State`] if the directory is not this user's alone.
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

    /// Runs `work` where it may block, to its end even if the caller is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Core) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let core = Arc::clone(&self.core);
        let done = self.working.spawn_blocking(move || work(&core)).await;
        done.unwrap_or_else(|error| Err(failed("working on the state")(io::Error::other(error))))
    }
}

/// Elsewhere processes are not listed in `/proc`, and 127.0.0.1 is the only loopback address.
fn supported(system: &str) -> Result<(), EngineError> {
    match system {
        "linux" => Ok(()),
        _ => Err(EngineError::Unsupported {
            system: system.to_owned(),
        }),
    }
}

/// Adds what was attempted to the system's words.
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
