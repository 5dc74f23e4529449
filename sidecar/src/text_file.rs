//! Reads people's text files: regular files in UTF-8, up to a size limit. The byte order mark and the line ends with a
//! carriage return, which editors of other systems write, are not part of the text.

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
    /// In UTF-16, or not text at all.
    #[error("{0}: {NOT_UTF8}")]
    Encoding(String),
    /// Not UTF-8.
    #[error("{file}:{line}: the line is not UTF-8")]
    NotText {
        /// The file.
        file: String,
        /// The first line that is not UTF-8, counted from 1.
        line: usize,
    },
}

/// The message for a file in another encoding.
pub(crate) const NOT_UTF8: &str = "the file is in UTF-16 or contains zero bytes; save it as UTF-8";

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
    // Text has no zero bytes; UTF-16 without a mark has many.
    let text = without_mark(&bytes).filter(|text| !text.contains(&0));
    let text = text.ok_or_else(|| ReadError::Encoding(name()))?;
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        ReadError::NotText {
            file: name(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        }
    })?;
    Ok(text.replace("\r\n", "\n"))
}

/// A file's bytes after the byte order mark, if there is one; `None` if it is that of UTF-16.
pub(crate) fn without_mark(bytes: &[u8]) -> Option<&[u8]> {
    let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    (!utf16).then(|| bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}
