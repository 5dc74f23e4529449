//! The running configuration as a file: written after every change, read at the next start.
//!
//! A disk that is full, read-only or hangs never stops the sidecar: what is not saved is reported, and saved as soon as
//! that is possible.

mod format;
mod replace;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::resources::Add;
pub use format::{AutosaveError, load};
use replace::Written;

/// Timeout for saving a change. A disk that hangs must not block the control plane.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before a configuration that could not be saved is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Why a configuration could not be saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot save to {file}: {reason}")]
pub struct SaveError {
    file: String,
    reason: String,
}

impl SaveError {
    /// It was not written in time.
    fn late(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            reason: format!("it is not written after {SAVE_TIMEOUT:?}"),
        }
    }

    /// The message to the caller that made the change.
    pub(super) fn of_a_change(&self) -> String {
        format!("the change is made, but is lost at the next start: {self}")
    }
}

/// Saves configurations. One that is superseded before it is written is skipped.
#[derive(Debug)]
pub(super) struct Autosave {
    file: String,
    wanted: watch::Sender<Revision>,
    progress: watch::Receiver<Progress>,
    saving: AbortHandle,
}

#[derive(Debug, Clone, Default)]
struct Revision {
    number: u64,
    text: String,
}

/// The progress of saving.
#[derive(Debug, Default)]
struct Progress {
    /// The latest revision that a write was attempted for.
    tried: u64,
    /// The latest revision on disk.
    saved: u64,
    /// Whether a write has not ended after [`SAVE_TIMEOUT`]. Until it ends, no later revision is tried.
    hangs: bool,
    state: SaveState,
}

/// Whether the configuration is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveState {
    /// Why the latest configuration is not on disk; `None` if it is.
    pub unsaved: Option<SaveError>,
    /// Attempts to save that failed since the start.
    pub failures: u64,
}

impl Autosave {
    /// Saves a configuration, and starts the task that saves later ones. Returns after the first attempt.
    pub(super) async fn start(path: PathBuf, commands: &[Add]) -> Self {
        // A write beyond the limit of file sizes (RLIMIT_FSIZE) is an error then, not the end of the process.
        if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
            tracing::debug!(%error, "no handler for SIGXFSZ");
        }
        let file = path.display().to_string();
        let wanted = watch::Sender::new(Revision::default());
        let (report, progress) = watch::channel(Progress::default());
        // Detached: it ends when the sender is dropped, after a save in progress.
        let saving = tokio::spawn(save_revisions(path, wanted.subscribe(), report)).abort_handle();
        let autosave = Self {
            file,
            wanted,
            progress,
            saving,
        };
        // A failure is logged, and part of the state.
        let _ = autosave.saved(autosave.save(commands)).await;
        autosave
    }

    /// Saves nothing any more, not even what could not be saved before: another process saves to the file.
    pub(super) fn stop(&self) {
        self.saving.abort();
    }

    /// Queues a configuration to be saved; returns the revision to wait for.
    pub(super) fn save(&self, commands: &[Add]) -> u64 {
        let mut number = 0;
        self.wanted.send_modify(|revision| {
            revision.number += 1;
            revision.text = format::render(commands);
            number = revision.number;
        });
        number
    }

    /// Waits until a revision, or a later one, is on disk.
    ///
    /// # Errors
    /// When it could not be written, or not in time.
    pub(super) async fn saved(&self, number: u64) -> Result<(), SaveError> {
        let mut progress = self.progress.clone();
        let tried = progress.wait_for(|progress| progress.tried >= number || progress.hangs);
        match tried.await {
            Ok(progress) if progress.saved >= number => Ok(()),
            Ok(progress) => progress.state.unsaved.clone().map_or(Ok(()), Err),
            Err(_) => Err(SaveError::late(&self.file)),
        }
    }

    /// Whether the configuration is on disk.
    pub(super) fn state(&self) -> SaveState {
        self.progress.borrow().state.clone()
    }
}

async fn save_revisions(
    path: PathBuf,
    mut wanted: watch::Receiver<Revision>,
    report: watch::Sender<Progress>,
) {
    let mut spell = Spell::default();
    let mut way = Way::default();
    loop {
        let changed = match spell.failures {
            0 => wanted.changed().await,
            _ => timeout(RETRY_PAUSE, wanted.changed()).await.unwrap_or(Ok(())),
        };
        if changed.is_err() {
            return;
        }
        let Revision { number, text } = wanted.borrow_and_update().clone();
        let mut failed = |error: SaveError| {
            spell.failed(&error);
            report.send_modify(|progress| {
                progress.tried = number;
                progress.state.failures += 1;
                progress.state.unsaved = Some(error);
            });
        };
        let mut writing = pin!(write(&path, text));
        let outcome = match timeout(SAVE_TIMEOUT, writing.as_mut()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                failed(SaveError::late(&path.display().to_string()));
                report.send_modify(|progress| progress.hangs = true);
                let outcome = writing.await;
                report.send_modify(|progress| progress.hangs = false);
                outcome
            }
        };
        match outcome {
            Ok(written) => {
                spell.ended(&path);
                way.report(&path, &written);
                report.send_modify(|progress| {
                    progress.tried = number;
                    progress.saved = number;
                    progress.state.unsaved = None;
                });
            }
            Err(error) => failed(error),
        }
    }
}

async fn write(path: &Path, text: String) -> Result<Written, SaveError> {
    let target = path.to_owned();
    let outcome = tokio::task::spawn_blocking(move || replace::write(&target, &text)).await;
    outcome
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| SaveError {
            file: path.display().to_string(),
            reason: error.to_string(),
        })
}

/// Consecutive failures, logged with one line at their begin and one at their end.
#[derive(Debug, Default)]
struct Spell {
    failures: u64,
}

impl Spell {
    fn failed(&mut self, error: &SaveError) {
        if self.failures == 0 {
            tracing::warn!(
                "UNSAVED: {error}; the sidecar goes on, and tries again every {RETRY_PAUSE:?}. Until then a restart begins \
                 from what was saved before"
            );
        }
        self.failures += 1;
    }

    fn ended(&mut self, path: &Path) {
        if self.failures > 0 {
            tracing::info!(file = %path.display(), failures = self.failures, "the configuration is saved again");
        }
        self.failures = 0;
    }
}

/// Logs once that the file is written in place.
#[derive(Debug, Default)]
struct Way {
    said: bool,
}

impl Way {
    fn report(&mut self, path: &Path, written: &Written) {
        let Written::InPlace { reason, copied } = written else {
            return;
        };
        if std::mem::replace(&mut self.said, true) {
            return;
        }
        let file = path.display();
        if *copied {
            tracing::info!(
                "{file} is written in place, with a copy beside it meanwhile: it cannot be replaced ({reason})"
            );
        } else {
            tracing::warn!(
                "{file} is written in place: no copy can be written beside it ({reason}), so a crash during a write can \
                 leave it truncated"
            );
        }
    }
}
