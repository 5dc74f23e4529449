//! What happened, on one clock: what the engine did, what the containers wrote, what the sidecars believed, which
//! requests failed, and what the harness did meanwhile.

mod book;
mod collect;
mod files;
mod level;
mod life;
mod members;
mod text;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use crate::cluster::topology::Topology;
use crate::engine::Engine;
use crate::verify::traffic::Recording;
pub use book::Suspect;
pub use files::{directory, file, newest};
pub use level::unexpected;
pub use text::Window;

use book::Book;

/// Failed requests that a file tells of, the first in its time.
const MAX_REQUESTS: usize = 500;

/// Where an entry is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The engine did something to a container, or saw its end.
    Engine,
    /// A line that a container wrote.
    Log,
    /// A sidecar's view changed.
    Membership,
    /// A request failed.
    Request,
    /// The harness did something.
    Harness,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: SystemTime,
    /// To whom: a container's name, a route, or a scenario.
    pub source: String,
    /// Where this is from.
    pub kind: Kind,
    /// What.
    pub text: String,
}

/// The collected entries of one run. Collecting ends when this is dropped.
#[derive(Debug)]
pub struct Chronicle {
    engine: Engine,
    book: Shared,
    // Their end is this one's.
    _tasks: JoinSet<()>,
}

/// A book that many write into.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Book>>);

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Chronicle {
    /// Begins to collect what happens to all containers of the run `run`, those that are made later included.
    /// `topology` tells their status ports.
    pub fn start(engine: &Engine, run: &str, topology: &Topology) -> Self {
        let book = Shared::default();
        let mut tasks = JoinSet::new();
        let ports = collect::StatusPorts::of(topology);
        tasks.spawn(collect::all(engine.clone(), run.to_owned(), ports, book.clone()));
        Self {
            engine: engine.clone(),
            book,
            _tasks: tasks,
        }
    }

    /// Notes what the harness does.
    pub fn say(&self, source: &str, text: impl Into<String>) {
        let entry = Entry {
            at: SystemTime::now(),
            source: source.to_owned(),
            kind: Kind::Harness,
            text: text.into(),
        };
        self.book.with(|book| book.add(entry));
    }

    /// Reads what the containers have written up to now, as far as it is not known yet.
    pub async fn catch_up(&self) {
        collect::catch_up(&self.engine, &self.book).await;
    }

    /// The WARN and ERROR lines that were collected since the last call.
    pub fn suspects(&self) -> Vec<Suspect> {
        self.book.with(Book::take_suspects)
    }

    /// Writes all that happened within `windows`, and the failures of `requests` there, in the order of their times. Of
    /// such files the newest 20 stay.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn write(
        &self,
        path: &Path,
        about: &str,
        windows: &[Window],
        requests: &[Recording],
    ) -> std::io::Result<()> {
        let mut entries = self.book.with(|book| book.entries());
        entries.extend(requests.iter().flat_map(failed));
        let text = text::render(about, &self.book.with(|book| book.containers()), entries, windows);
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || files::write(&path, &text)).await?
    }
}

/// The first failed request that was sent at `since` or later: when.
pub fn first_failure(requests: &[Recording], since: SystemTime) -> Option<SystemTime> {
    let first = |recording: &Recording| {
        recording.read(|record| {
            let sent = record.failures().map(|outcome| record.sent_at(outcome));
            sent.filter(|at| *at >= since).min()
        })
    };
    requests.iter().filter_map(first).min()
}

/// The failed requests, dated by their ends.
fn failed(recording: &Recording) -> Vec<Entry> {
    recording.read(|record| {
        let entry = |outcome: &crate::verify::traffic::Outcome| {
            let reason = outcome.result.as_ref().err()?;
            Some(Entry {
                at: record.sent_at(outcome) + outcome.took,
                source: record.route(outcome.route),
                kind: Kind::Request,
                text: format!(
                    "failed after {:.3} s: {reason}",
                    Duration::as_secs_f64(&outcome.took)
                ),
            })
        };
        record.failures().filter_map(entry).take(MAX_REQUESTS).collect()
    })
}
