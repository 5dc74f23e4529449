//! Schedule files.

use std::io;
use std::path::{Path, PathBuf};

use harness::chaos::Schedule;
use harness::cluster::checkout::Checkout;
use harness::error::Error;

use super::super::output;

/// The file of the schedule generated from a seed.
pub(super) fn generated(checkout: &Checkout, seed: u64) -> PathBuf {
    directory(checkout).join(format!("chaos-{seed}.json"))
}

/// The file of the schedule shrunk from that in `file`.
pub(super) fn shrunk(checkout: &Checkout, file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    directory(checkout).join(format!("{stem}-short.json"))
}

fn directory(checkout: &Checkout) -> PathBuf {
    checkout.target().join("harness")
}

/// Checks that a schedule file can be written.
///
/// # Errors
/// It cannot.
pub(super) async fn writable(file: &Path) -> Result<(), Error> {
    let tried = async {
        create_directory_of(file).await?;
        output::tried(file)
    };
    tried.await.map_err(|error| unwritten(file, &error))
}

pub(super) async fn write(file: &Path, schedule: &Schedule) -> Result<(), Error> {
    let written = async {
        create_directory_of(file).await?;
        tokio::fs::write(file, schedule.to_json()).await
    };
    written.await.map_err(|error| unwritten(file, &error))
}

/// The error for a schedule file that cannot be written. Its directory is Cargo's target directory, not a flag's value.
fn unwritten(file: &Path, why: &io::Error) -> Error {
    Error::environment(
        format!("{} cannot be written: {why}", file.display()),
        "make its directory writable, or set CARGO_TARGET_DIR to another one",
    )
}

async fn create_directory_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) => tokio::fs::create_dir_all(directory).await,
        None => Ok(()),
    }
}

pub(super) async fn read(file: &Path) -> Result<Schedule, Error> {
    let text = tokio::fs::read_to_string(file).await.map_err(|error| {
        Error::environment(
            format!("{} cannot be read: {error}", file.display()),
            "pass a file that `chaos` has written",
        )
    })?;
    Schedule::from_json(&text).map_err(|error| {
        Error::environment(
            format!("{}: not a schedule: {error}", file.display()),
            "correct it, or pass a file that `chaos` has written",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_for_an_unwritable_directory_names_the_variable_to_set() {
        let directory = tempfile::tempdir().unwrap();
        let not_a_directory = directory.path().join("file");
        std::fs::write(&not_a_directory, "").unwrap();
        let error = writable(&not_a_directory.join("chaos-7.json")).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        assert!(message.contains("chaos-7.json cannot be written"), "{message}");
        assert!(message.contains("CARGO_TARGET_DIR"), "{message}");
        writable(&directory.path().join("new/chaos-7.json"))
            .await
            .unwrap();
    }
}
