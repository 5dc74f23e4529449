//! An exclusive lock between processes and tasks, held on a file.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Interval between two attempts.
const PERIOD: Duration = Duration::from_millis(20);

/// A held lock. It is released when it is dropped or when the process ends.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock on the file at `path`, which is created if it is missing.
    ///
    /// # Errors
    /// The file cannot be created or locked.
    pub async fn acquire(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PERIOD).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_acquired_after_the_previous_holder_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = FileLock::acquire(&path).await.unwrap();
        let mut second = std::pin::pin!(FileLock::acquire(&path));
        let early = tokio::time::timeout(3 * PERIOD, &mut second).await;
        assert!(early.is_err(), "the lock is held twice");
        drop(first);
        let late = tokio::time::timeout(Duration::from_secs(10), second).await;
        late.unwrap().unwrap();
    }
}
