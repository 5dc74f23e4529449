//! The files that schedules are written to and read from.

use std::path::{Path, PathBuf};

use harness::chaos::Schedule;
use harness::checkout::Checkout;
use harness::error::Error;

/// Where they are written.
pub(super) fn directory(checkout: &Checkout) -> PathBuf {
    checkout.root().join("target/harness")
}

pub(super) async fn write(file: &Path, schedule: &Schedule) -> Result<(), Error> {
    let written = async {
        if let Some(directory) = file.parent() {
            tokio::fs::create_dir_all(directory).await?;
        }
        tokio::fs::write(file, schedule.to_json()).await
    };
    written.await.map_err(|error: std::io::Error| {
        Error::environment(
            format!("{} cannot be written: {error}", file.display()),
            "run it where the checkout may be written to",
        )
    })
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
            format!("{} is no schedule: {error}", file.display()),
            "correct it, or name a file that `harness chaos` has written",
        )
    })
}
