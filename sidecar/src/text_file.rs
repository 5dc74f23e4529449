//! Reads configuration files: regular files, up to a size limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Maximum size in bytes, more than the largest configuration that can be saved.
pub const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's error.
    #[error("cannot read {file}")]
    Io {
        /// The file.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// Not a regular file: opening a pipe would wait for a writer, and a device may have no end.
    #[error("{0} is not a regular file")]
    NotRegular(String),
    /// It is larger than [`MAX_FILE`].
    #[error("{0} is larger than {MAX_FILE} bytes, the most that a config file may have")]
    TooLarge(String),
    /// Not UTF-8.
    #[error("{file}:{line}: the line is not UTF-8")]
    NotText {
        /// The file.
        file: String,
        /// The first line that is not UTF-8, counted from 1.
        line: usize,
    },
}

/// Reads a configuration file.
///
/// # Errors
/// When it cannot be read, or is not a regular UTF-8 file of at most [`MAX_FILE`] bytes.
pub fn read(path: &Path) -> Result<String, ReadError> {
    let name = || path.display().to_string();
    let failed = |source| ReadError::Io { file: name(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(ReadError::NotRegular(name()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadError::TooLarge(name()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        ReadError::NotText {
            file: name(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        }
    })
}
