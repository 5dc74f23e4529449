//! Writing results to standard output and to files.
//!
//! Results are never dropped: printing waits for the reader. An interrupt ends that, so that a stopped terminal or a full
//! pipe cannot keep a run from removing its mesh.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use harness::console::stderr;
use harness::error::Error;
use harness::interrupt::Interrupts;

/// Time for printing after an interrupt.
const INTERRUPTED_TIMEOUT: Duration = Duration::from_secs(1);

/// Prints to standard output. Returns whether that is still open: a closed pipe, such as that of `head`, is not an error.
///
/// # Errors
/// [`Error::Interrupted`] if nobody reads until 1 s after an interrupt; other errors of standard output.
pub(super) async fn print(text: impl Into<Vec<u8>>, interrupts: &Interrupts) -> Result<bool, Error> {
    let text = text.into();
    let writing = tokio::task::spawn_blocking(move || {
        // On a terminal, results stand below the progress before them.
        stderr::finish();
        let mut output = io::stdout().lock();
        output.write_all(&text)?;
        output.flush()
    });
    let interrupted = async {
        interrupts.stop.cancelled().await;
        tokio::time::sleep(INTERRUPTED_TIMEOUT).await;
    };
    tokio::select! {
        result = writing => written(result.unwrap_or_else(|error| Err(io::Error::other(error)))),
        () = interrupted => Err(Error::Interrupted),
    }
}

/// Whether the output was written. A closed pipe is not an error.
fn written(written: io::Result<()>) -> Result<bool, Error> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::environment(
            format!("standard output cannot be written to: {error}"),
            "check the free space, or redirect the output elsewhere",
        )),
    }
}

/// Checks that `path` can be written, without changing an existing file or leaving a new one.
///
/// # Errors
/// It cannot be written.
pub(super) fn writable(path: &Path) -> Result<(), Error> {
    tried(path).map_err(|error| unwritten(path, error))
}

/// The error for a file that cannot be written.
pub(super) fn unwritten(path: &Path, why: impl Display) -> Error {
    Error::environment(
        format!("{} cannot be written: {why}", path.display()),
        "name a file in a directory that exists and is writable",
    )
}

/// Opens `path` for writing, to test whether that is possible.
pub(super) fn tried(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        // Opening and closing a pipe would signal the end of the data to its reader.
        Ok(there) if !there.is_file() && !there.is_dir() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        // Testing a dangling symbolic link would create its target.
        Err(_) if path.is_symlink() => Ok(()),
        Err(_) => {
            OpenOptions::new().write(true).create_new(true).open(path)?;
            std::fs::remove_file(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_not_an_error_but_a_full_disk_is() {
        let failed = |kind: io::ErrorKind| written(Err(kind.into()));
        assert!(written(Ok(())).unwrap());
        assert!(!failed(io::ErrorKind::BrokenPipe).unwrap());
        let error = failed(io::ErrorKind::StorageFull).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("standard output cannot be written to"));
    }

    #[test]
    fn testing_whether_a_path_is_writable_changes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        writable(&path("new")).unwrap();
        assert!(!path("new").exists());
        std::fs::write(path("old"), "text").unwrap();
        writable(&path("old")).unwrap();
        assert_eq!(std::fs::read_to_string(path("old")).unwrap(), "text");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named_in_the_error() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().to_owned(), directory.path().join("none/new")] {
            let error = writable(&path).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let named = format!("{} cannot be written", path.display());
            assert!(error.to_string().contains(&named), "{error}");
        }
        assert!(!directory.path().join("none").exists());
    }
}
