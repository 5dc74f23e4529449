//! The files that a command is asked to write: tried before the work, so that nothing is done in vain.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use harness::error::Error;

/// Whether there can be a file at `path`, as far as that can be told beforehand. What is there stays as it is, and
/// where nothing is there is nothing afterwards.
///
/// # Errors
/// It cannot be written.
pub(super) fn writable(path: &Path) -> Result<(), Error> {
    tried(path).map_err(|error| unwritten(path, error))
}

/// Why a file was not written.
pub(super) fn unwritten(path: &Path, why: impl Display) -> Error {
    Error::environment(
        format!("{} cannot be written: {why}", path.display()),
        "name a file in a directory that exists and is writable",
    )
}

pub(super) fn tried(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        // The reader of a pipe that is opened and closed would take that for all there is.
        Ok(there) if !there.is_file() && !there.is_dir() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        // A link to what is not there yet cannot be tried without leaving that there.
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
    fn trying_leaves_everything_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        writable(&path("new")).unwrap();
        assert!(!path("new").exists());
        std::fs::write(path("old"), "text").unwrap();
        writable(&path("old")).unwrap();
        assert_eq!(std::fs::read_to_string(path("old")).unwrap(), "text");
    }

    #[test]
    fn what_cannot_be_a_file_is_refused_with_its_name() {
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
