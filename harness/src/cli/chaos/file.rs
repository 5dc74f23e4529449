//! The files that schedules are written to and read from.

use std::io;
use std::path::{Path, PathBuf};

use harness::chaos::Schedule;
use harness::cluster::checkout::Checkout;
use harness::error::Error;

use super::super::destination;

/// Where the schedule of a seed is written.
pub(super) fn made(checkout: &Checkout, seed: u64) -> PathBuf {
    directory(checkout).join(format!("chaos-{seed}.json"))
}

/// Where the shorter schedule is written that is found for that of a file.
pub(super) fn short(checkout: &Checkout, file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    directory(checkout).join(format!("{stem}-short.json"))
}

fn directory(checkout: &Checkout) -> PathBuf {
    checkout.target().join("harness")
}

/// Whether such a file can be written.
///
/// # Errors
/// It cannot.
pub(super) async fn writable(file: &Path) -> Result<(), Error> {
    let tried = async {
        directory_of(file).await?;
        destination::tried(file)
    };
    tried.await.map_err(|error| unwritten(file, &error))
}

pub(super) async fn write(file: &Path, schedule: &Schedule) -> Result<(), Error> {
    let written = async {
        directory_of(file).await?;
        tokio::fs::write(file, schedule.to_json()).await
    };
    written.await.map_err(|error| unwritten(file, &error))
}

/// Its place is not the user's to name, but that of what is compiled.
fn unwritten(file: &Path, why: &io::Error) -> Error {
    Error::environment(
        format!("{} cannot be written: {why}", file.display()),
        "make its directory writable, or choose another for all that is made here with CARGO_TARGET_DIR",
    )
}

async fn directory_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) => tokio::fs::create_dir_all(directory).await,
        None => Ok(()),
    }
}

pub(super) async fn read(file: &Path) -> Result<Schedule, Error> {
    let text = tokio::fs::read_to_string(file).await.map_err(|error| {
        Error::environment(
            format!("{} cannot be read: {error}", file.display()),
            "name a file that `harness chaos` has written",
        )
    })?;
    Schedule::from_json(&text).map_err(|error| {
        Error::environment(
            format!("{} is not a schedule: {error}", file.display()),
            "correct it, or name a file that `harness chaos` has written",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_advice_where_a_file_cannot_be_written_is_one_that_can_be_followed() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().join("file");
        std::fs::write(&there, "").unwrap();
        let error = writable(&there.join("chaos-7.json")).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let told = error.to_string();
        assert!(told.contains("chaos-7.json cannot be written"), "{told}");
        assert!(told.contains("CARGO_TARGET_DIR"), "{told}");
        writable(&directory.path().join("new/chaos-7.json"))
            .await
            .unwrap();
    }
}
