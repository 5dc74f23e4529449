//! Reads a waypoint's file again and again, on a thread of its own: a file system that does not answer stops nothing else, and
//! nothing else is woken while the file says the same.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::watch;

use super::config::Config;
use crate::text_file;

/// Interval at which the file is read. Events of a file system do not cross virtual machines.
const EVERY: Duration = Duration::from_secs(1);

/// What the file says, or why it cannot be read.
pub(super) type Told = Result<Config, String>;

/// Reads a file until it is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    told: watch::Receiver<Option<Told>>,
    /// Ends the thread when it is dropped.
    _stop: Sender<()>,
}

impl Reader {
    /// Begins to read. Must be called within a tokio runtime.
    pub(super) fn start(file: PathBuf) -> Self {
        let (sender, told) = watch::channel(None);
        let (stop, stopped) = channel();
        // Detached: it ends with the channel, and the runtime's end does not wait for a file system for long.
        tokio::task::spawn_blocking(move || keep_reading(&file, &sender, &stopped));
        Self { told, _stop: stop }
    }

    /// Waits until the file says something else than before. Cancel-safe.
    pub(super) async fn next(&mut self) -> Told {
        loop {
            if self.told.changed().await.is_err() {
                // The thread has failed, which was reported.
                pending::<()>().await;
            }
            if let Some(told) = &*self.told.borrow_and_update() {
                return told.clone();
            }
        }
    }
}

fn keep_reading(file: &Path, told: &watch::Sender<Option<Told>>, stopped: &Receiver<()>) {
    loop {
        let now = Some(read(file));
        told.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        if stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn read(file: &Path) -> Told {
    let text = text_file::read(file).map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    Config::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}
