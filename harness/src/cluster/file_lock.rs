//! One at a time does what two must not do at once.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often it is tried.
const PERIOD: Duration = Duration::from_millis(20);

/// Waits until nobody else has this file's turn, be it another program or a part of this one, and keeps others from it until
/// the answer is dropped.
///
/// # Errors
/// The system's, where the file cannot be made.
pub async fn take(file: &Path) -> io::Result<File> {
    let file = File::create(file)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PERIOD).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_waits_for_the_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("lock");
        let first = take(&file).await.expect("the first has its turn");
        let mut second = std::pin::pin!(take(&file));
        let early = tokio::time::timeout(3 * PERIOD, &mut second).await;
        assert!(early.is_err(), "both have their turn at once");
        drop(first);
        let late = tokio::time::timeout(Duration::from_secs(10), second).await;
        late.expect("the second has its turn").expect("and no error");
    }
}
