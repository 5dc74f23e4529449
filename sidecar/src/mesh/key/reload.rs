//! Reads the key file at the start, every second after that, and when it is told to.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{KeyFileError, Keys, MeshKey};
use crate::diagnostic::Diagnostic;
use crate::secret_file::warn_if_public;
use crate::text_file::{self, ReadError};

/// Pause between two reads of the file.
const PERIOD: Duration = Duration::from_secs(1);
/// Pause after which a changed file must be the same still. A file that is written in place is empty or cut at first.
const SETTLE: Duration = Duration::from_millis(50);

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It holds no usable keys.
    #[error("{0}")]
    Keys(Diagnostic),
}

/// Reads a key file.
///
/// # Errors
/// When it cannot be read, or a line of it is wrong.
pub fn load(path: &Path) -> Result<Keys, LoadError> {
    Keys::parse(&text_file::read(path)?).map_err(|KeyFileError { line, message }| {
        LoadError::Keys(Diagnostic {
            file: path.display().to_string(),
            line,
            word: String::new(),
            message,
        })
    })
}

/// Reads the key file of a node that starts, and warns if every user of the machine can read it.
pub(in crate::mesh) fn load_first(path: &Path) -> Result<Keys, LoadError> {
    let keys = load(path)?;
    if let Ok(file) = File::open(path) {
        warn_if_public(path, &file);
    }
    tracing::info!(file = %path.display(), keys = keys.fingerprints(), "discovery: messages are sealed with the first key");
    Ok(keys)
}

/// Takes the file's keys whenever they change. What cannot be used changes nothing.
pub(in crate::mesh) async fn follow(
    path: PathBuf,
    key: Arc<MeshKey>,
    again: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut is_bad = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(PERIOD) => {}
            () = again.notified() => {}
        }
        let found = read(&path).await;
        if found.as_ref().is_ok_and(|keys| *keys == *key.keys()) {
            is_bad = false;
            continue;
        }
        sleep(SETTLE).await;
        if read(&path).await != found {
            // It is being written: the next read decides.
            continue;
        }
        match found {
            Ok(keys) => {
                is_bad = false;
                tracing::info!(file = %path.display(), keys = keys.fingerprints(), "discovery: the mesh key has changed");
                key.set_keys(keys);
            }
            Err(why) if !is_bad => {
                is_bad = true;
                tracing::warn!(
                    why,
                    "discovery: the key file cannot be used, and the keys stay as they are"
                );
            }
            Err(_) => {}
        }
    }
}

async fn read(path: &Path) -> Result<Keys, String> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        load(&path).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    });
    reading.await.map_err(|error| error.to_string()).flatten()
}
