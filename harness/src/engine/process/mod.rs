//! An engine that runs containers as processes of this machine, without Docker and without root: each node has an
//! address of its own in 127.0.0.0/8, its own copies of the config files, and its own process group. There is no other
//! isolation. What it knows is in a directory, so that later processes find what earlier ones made. Linux only.

mod container;
mod control;
mod dates;
mod events;
mod image;
mod logs;
mod network;
mod record;
mod run;
mod status;
mod store;
mod translate;
mod tree;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::process::ChildStdin;
use tokio_util::task::TaskTracker;

use self::events::Events;
use self::store::Store;
use super::EngineError;

type Lifelines = HashMap<String, (String, ChildStdin)>;

/// The engine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Processes {
    engine: Arc<Engine>,
}

#[derive(Debug)]
struct Engine {
    store: Store,
    /// The standard inputs that this process holds open, each with its run's mark, by container id.
    lifelines: Mutex<Lifelines>,
    events: Events,
    /// Work that changes or reads something. It goes on to its end when nobody waits for it any more.
    making: TaskTracker,
    /// A task for each process that was started here and has not ended.
    children: TaskTracker,
}

impl Processes {
    /// The engine of this user, in the system's directory for temporary files.
    ///
    /// # Errors
    /// The system is not Linux, or the directory cannot be had for this user alone.
    pub fn open() -> Result<Self, EngineError> {
        let user = rustix::process::getuid().as_raw();
        Self::open_in(std::env::temp_dir().join(format!("service-mesh-{user}")))
    }

    /// The engine whose state is in `directory`.
    ///
    /// # Errors
    /// As [`Processes::open`].
    pub fn open_in(directory: PathBuf) -> Result<Self, EngineError> {
        supported(std::env::consts::OS)?;
        Ok(Self {
            engine: Arc::new(Engine {
                store: Store::open(directory)?,
                lifelines: Mutex::default(),
                events: Events::default(),
                making: TaskTracker::new(),
                children: TaskTracker::new(),
            }),
        })
    }

    /// Waits for the work that makes something and that nobody waits for any more.
    pub async fn settled(&self) {
        self.engine.making.close();
        self.engine.making.wait().await;
        self.engine.making.reopen();
    }

    /// Does what blocks where it may, to its end, even when the caller is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let engine = Arc::clone(&self.engine);
        let done = self.engine.making.spawn_blocking(move || work(&engine)).await;
        done.unwrap_or_else(|error| Err(failed("working on the state")(io::Error::other(error))))
    }
}

impl Engine {
    fn lifelines(&self) -> MutexGuard<'_, Lifelines> {
        self.lifelines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Elsewhere processes are not listed in `/proc`, and 127.0.0.1 is the only loopback address there is.
fn supported(system: &str) -> Result<(), EngineError> {
    match system {
        "linux" => Ok(()),
        _ => Err(EngineError::Unsupported {
            system: system.to_owned(),
        }),
    }
}

/// Tells what was attempted together with the system's words.
fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> EngineError {
    move |error| EngineError::Engine {
        what: what.into(),
        reason: error.to_string(),
    }
}

/// Whether `labels` have the label `name`, or `name=value`.
fn labelled(labels: &std::collections::BTreeMap<String, String>, with_label: &str) -> bool {
    match with_label.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(with_label),
    }
}
