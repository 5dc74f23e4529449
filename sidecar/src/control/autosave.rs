//! The running configuration as a file: written after every change, read at the next start.
//!
//! The file is a config file between a first line that identifies it and a last line with a checksum, so that torn
//! and foreign files are recognised. It is replaced by a rename: if the process is killed, either the old or the new
//! file is there, complete.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::command::Command;
use super::file::Script;
use super::resources::Add;
use crate::diagnostic::Diagnostics;
use crate::text_file::{self, ReadError};

const HEAD: &str = "# Saved by a sidecar (--autosave) after each change; changes made here are refused.";
const TAIL: &str = "# sha256 ";

/// Timeout for saving a change. A disk that hangs must not block the control plane.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a saved configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AutosaveError {
    /// It cannot be read.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// It was not written by a sidecar.
    #[error(
        "{file} was not written by --autosave: its first line differs. Give --autosave a file of its own; to start from \
         this one, use --load"
    )]
    Foreign {
        /// The file.
        file: String,
    },
    /// It was truncated or edited.
    #[error(
        "{file} is truncated or was edited: its last line is not the checksum of the lines before. To start from it as \
         it is now, copy it without its last line and use --load; to start without it, remove it"
    )]
    Torn {
        /// The file.
        file: String,
    },
    /// It is complete, but this sidecar cannot parse it.
    #[error("{0}")]
    Diagnostics(Diagnostics),
}

/// The file's text for a configuration.
fn render(commands: &[Add]) -> String {
    let mut text = format!("{HEAD}\n");
    for add in commands {
        text.push_str(&Command::Add(add.clone()).to_string());
        text.push('\n');
    }
    let sum = checksum(&text);
    text + TAIL + &sum + "\n"
}

/// The commands of a file's text.
fn parse(file: &str, text: &str) -> Result<Script, AutosaveError> {
    if text.lines().next() != Some(HEAD) {
        return Err(AutosaveError::Foreign {
            file: file.to_owned(),
        });
    }
    let torn = || AutosaveError::Torn {
        file: file.to_owned(),
    };
    let whole = text.strip_suffix('\n').ok_or_else(torn)?;
    let (body, tail) = whole.rsplit_once('\n').ok_or_else(torn)?;
    let body = &text[..body.len() + 1];
    if tail.strip_prefix(TAIL) != Some(checksum(body).as_str()) {
        return Err(torn());
    }
    Script::parse([(file, body)]).map_err(AutosaveError::Diagnostics)
}

fn checksum(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Reads a saved configuration; `None` if there is no file.
///
/// # Errors
/// A file that cannot be read, is truncated, or was not written by a sidecar.
pub fn load(path: &Path) -> Result<Option<Script>, AutosaveError> {
    match text_file::read(path) {
        Ok(text) => parse(&path.display().to_string(), &text).map(Some),
        Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

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
    /// Why the revisions in between are not on disk.
    fault: Option<SaveError>,
}

impl Autosave {
    /// Saves a configuration, and starts the task that saves later ones.
    ///
    /// # Errors
    /// When it cannot be saved: there is no such directory, it is not writable, or the disk hangs.
    pub(super) async fn start(path: PathBuf, commands: &[Add]) -> Result<Self, SaveError> {
        let file = path.display().to_string();
        match tokio::time::timeout(SAVE_TIMEOUT, write(&path, render(commands))).await {
            Ok(written) => written?,
            Err(_) => return Err(SaveError::late(&file)),
        }
        let wanted = watch::Sender::new(Revision::default());
        let (report, progress) = watch::channel(Progress::default());
        // Detached: it ends when the sender is dropped, after a save in progress.
        tokio::spawn(save_revisions(path, wanted.subscribe(), report));
        Ok(Self {
            file,
            wanted,
            progress,
        })
    }

    /// Queues a configuration to be saved; returns the revision to wait for.
    pub(super) fn save(&self, commands: &[Add]) -> u64 {
        let mut number = 0;
        self.wanted.send_modify(|revision| {
            revision.number += 1;
            revision.text = render(commands);
            number = revision.number;
        });
        number
    }

    /// Waits until a revision, or a later one, is on disk, for at most [`SAVE_TIMEOUT`].
    ///
    /// # Errors
    /// When it could not be written, or not in time.
    pub(super) async fn saved(&self, number: u64) -> Result<(), SaveError> {
        let mut progress = self.progress.clone();
        let tried = progress.wait_for(|progress| progress.tried >= number);
        match tokio::time::timeout(SAVE_TIMEOUT, tried).await {
            Ok(Ok(progress)) if progress.saved >= number => Ok(()),
            Ok(Ok(progress)) => progress.fault.clone().map_or(Ok(()), Err),
            Ok(Err(_)) | Err(_) => {
                let error = SaveError::late(&self.file);
                tracing::error!("{error}");
                Err(error)
            }
        }
    }
}

async fn save_revisions(
    path: PathBuf,
    mut wanted: watch::Receiver<Revision>,
    report: watch::Sender<Progress>,
) {
    while wanted.changed().await.is_ok() {
        let Revision { number, text } = wanted.borrow_and_update().clone();
        let outcome = write(&path, text).await;
        if let Err(error) = &outcome {
            tracing::error!("{error}");
        }
        report.send_modify(|progress| {
            progress.tried = number;
            match outcome {
                Ok(()) => progress.saved = number,
                Err(error) => progress.fault = Some(error),
            }
        });
    }
}

async fn write(path: &Path, text: String) -> Result<(), SaveError> {
    let target = path.to_owned();
    let outcome = tokio::task::spawn_blocking(move || replace(&target, &text)).await;
    outcome
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| SaveError {
            file: path.display().to_string(),
            reason: error.to_string(),
        })
}

/// Replaces a file's content atomically, even if the power fails.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = directory.join(name);
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &[&str] = &["add server-groups x", "add security-group y default deny"];

    fn text() -> String {
        let commands: Vec<Add> = SAVED
            .iter()
            .map(|line| match line.parse() {
                Ok(Command::Add(add)) => add,
                other => panic!("{other:?}"),
            })
            .collect();
        render(&commands)
    }

    #[test]
    fn a_written_file_is_read_back() {
        let script = parse("f", &text()).unwrap();
        let lines: Vec<String> = script.lines.iter().map(|l| l.command.to_string()).collect();
        assert_eq!(lines, SAVED);
        assert_eq!(script.lines[0].number, 2, "errors name the file's own lines");
    }

    #[test]
    fn a_truncated_or_edited_file_is_refused() {
        let text = text();
        for end in 0..text.len() {
            assert!(parse("f", &text[..end]).is_err(), "truncated to {end} bytes");
        }
        let changed = text.replace("deny", "allow");
        assert!(matches!(parse("f", &changed), Err(AutosaveError::Torn { .. })));
        assert!(matches!(
            parse("f", "add server-groups x\n"),
            Err(AutosaveError::Foreign { .. })
        ));
    }
}
