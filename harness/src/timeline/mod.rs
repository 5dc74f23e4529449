//! The timeline of a run: engine events, container logs, changes of the sidecars' views, failed requests, and the
//! harness's own actions. It is written to a file after a failure; `why` prints it.

mod collector;
mod event_log;
mod files;
mod lifecycle;
mod problem_line;
mod text;
mod view_diff;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::task::JoinSet;

use crate::cluster::topology::Topology;
use crate::engine::Engine;
use event_log::EventLog;
pub use files::{directory, file, newest, read};
pub use problem_line::{ProblemLine, unexpected};
pub use text::Window;

/// The origin of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A container event of the engine.
    Engine,
    /// A log line of a container.
    Log,
    /// A change of a sidecar's view of the mesh.
    Membership,
    /// A failed request.
    Request,
    /// An action of the harness.
    Harness,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Wall-clock time.
    pub at: SystemTime,
    /// A container's name, a route, or a scenario.
    pub source: String,
    /// The origin.
    pub kind: EntryKind,
    /// The event, without its time and source.
    pub text: String,
}

/// Collects the entries of one run until it is dropped.
#[derive(Debug)]
pub struct Timeline {
    engine: Engine,
    log: SharedLog,
    /// Aborted on drop.
    _tasks: JoinSet<()>,
}

/// The event log, shared with the collecting tasks.
#[derive(Debug, Clone, Default)]
struct SharedLog(Arc<Mutex<EventLog>>);

impl SharedLog {
    fn with<T>(&self, change: impl FnOnce(&mut EventLog) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Timeline {
    /// Starts collecting from all containers labelled with `run`, including those created later. Their status ports are
    /// taken from `topology`.
    pub fn start(engine: &Engine, run: &str, topology: &Topology) -> Self {
        let log = SharedLog::default();
        let mut tasks = JoinSet::new();
        let ports = collector::StatusPorts::of(topology);
        tasks.spawn(collector::collect(
            engine.clone(),
            run.to_owned(),
            ports,
            log.clone(),
        ));
        Self {
            engine: engine.clone(),
            log,
            _tasks: tasks,
        }
    }

    /// Adds an action of the harness.
    pub fn say(&self, source: &str, text: impl Into<String>) {
        let entry = Entry {
            at: SystemTime::now(),
            source: source.to_owned(),
            kind: EntryKind::Harness,
            text: text.into(),
        };
        self.log.with(|log| log.add(entry));
    }

    /// Reads the containers' log lines that have not been collected yet.
    pub async fn catch_up(&self) {
        collector::catch_up(&self.engine, &self.log).await;
    }

    /// Takes the WARN and ERROR lines collected since the last call.
    pub fn take_problem_lines(&self) -> Vec<ProblemLine> {
        self.log.with(EventLog::take_suspects)
    }

    /// Writes the entries within `windows`, merged with `requests`, in the order of their times. Keeps the newest 20
    /// files of the directory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn write(
        &self,
        path: &Path,
        about: &str,
        windows: &[Window],
        requests: Vec<Entry>,
    ) -> std::io::Result<()> {
        let mut entries = self.log.with(|log| log.entries());
        entries.extend(requests);
        let text = text::render(about, &self.log.with(|log| log.containers()), entries, windows);
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || files::write(&path, &text)).await?
    }
}
