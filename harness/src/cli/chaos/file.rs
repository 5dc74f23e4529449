//! The files that schedules are written to and read from.

use std::io;
use std::path::{Path, PathBuf};

use harness::chaos::Schedule;
use harness::checkout::Checkout;
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
    directory_of(file)
        .await
        .map_err(|error| destination::unwritten(file, error))?;
    destination::writable(file)
}

pub(super) async fn write(file: &Path, schedule: &Schedule) -> Result<(), Error> {
    let written = async {
        directory_of(file).await?;
        tokio::fs::write(file, schedule.to_json()).await
    };
    written.await.map_err(|error| destination::unwritten(file, error))
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
