//! The bearer token of a sidecar's HTTP controller (the sidecar's `--http-token-file`).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use hyper::header::HeaderValue;
use rustix::fs::{StatVfsMountFlags, fstatvfs};

/// The longest token that a sidecar accepts, in bytes.
const MAX_LENGTH: usize = 1024;

/// A token, as the value of the `Authorization` header. Its debug format hides it.
#[derive(Debug, Clone)]
pub struct Token(HeaderValue);

/// Why a file has no valid token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token in {file}")]
    Read {
        /// The file.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// The content is empty, too long, more than one line, or not visible ASCII, as in UTF-16.
    #[error("{0} has no valid token; expected one line of at most {MAX_LENGTH} bytes in UTF-8")]
    Malformed(String),
}

/// The environment variable with the token, in which a sidecar gives it to its program (`--http-program-token`).
const VARIABLE: &str = "SIDECAR_HTTP_TOKEN";

impl Token {
    /// Reads the token in a file if one is named, otherwise from the environment variable `SIDECAR_HTTP_TOKEN` if that is
    /// set.
    ///
    /// # Errors
    /// The file cannot be read, or there is no valid token.
    pub fn given(file: Option<&Path>) -> Result<Option<Self>, TokenError> {
        if let Some(file) = file {
            return Self::read(file).map(Some);
        }
        let value = std::env::var_os(VARIABLE);
        let token = value.map(|value| Self::from_text(value.as_encoded_bytes()));
        token
            .map(|token| token.ok_or_else(|| TokenError::Malformed(VARIABLE.to_owned())))
            .transpose()
    }

    /// Reads the token in a file, without a byte order mark at its begin or a line break at its end. Warns if every user
    /// of the machine can read it.
    ///
    /// # Errors
    /// The file cannot be read, or has no valid token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut text = Vec::new();
        // Three bytes for a byte order mark, two for a line break, and one more, which reveals a longer file.
        let most = MAX_LENGTH as u64 + 6;
        let file = path.display().to_string();
        let read = File::open(path).and_then(|opened| {
            if is_public(&opened) {
                tracing::warn!(
                    "every user of this machine can read the token in {file}; `chmod o-r` takes that away"
                );
            }
            opened.take(most).read_to_end(&mut text)
        });
        match read {
            Ok(_) => Self::from_text(&text).ok_or(TokenError::Malformed(file)),
            Err(source) => Err(TokenError::Read { file, source }),
        }
    }

    fn from_text(text: &[u8]) -> Option<Self> {
        // The byte order mark and the line break are the editor's, not the token's.
        let token = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let token = token.strip_suffix(b"\n").unwrap_or(token);
        let token = token.strip_suffix(b"\r").unwrap_or(token);
        if token.is_empty() || token.len() > MAX_LENGTH {
            return None;
        }
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Whether every user of the machine can read the file. Files of a read-only mount do not count: the secrets of
/// containers are such, and their permissions cannot be changed.
fn is_public(file: &File) -> bool {
    let read_by_others = |found: &std::fs::Metadata| found.is_file() && found.mode() & 0o004 != 0;
    let read_only = || fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY));
    file.metadata().is_ok_and(|found| read_by_others(&found)) && !read_only()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_and_one_line_break_are_not_part_of_the_token() {
        for text in ["secret", "secret\n", "secret\r\n", "\u{feff}secret\r\n"] {
            let token = Token::from_text(text.as_bytes()).expect("a token");
            assert_eq!(token.header(), "Bearer secret", "{text:?}");
            assert!(!format!("{token:?}").contains("secret"));
        }
    }

    #[test]
    fn a_file_without_a_token_is_an_error_that_names_it() {
        for text in ["", "\n", "a\nb", &"x".repeat(MAX_LENGTH + 1)] {
            assert!(Token::from_text(text.as_bytes()).is_none(), "{text:?}");
        }
        // "hi" in UTF-16, with its mark and without.
        for text in [&b"\xff\xfeh\0i\0"[..], b"h\0i\0"] {
            assert!(Token::from_text(text).is_none(), "{text:?}");
        }
        let endless = Token::read(Path::new("/dev/zero")).expect_err("no token");
        assert!(endless.to_string().contains("/dev/zero"));
        let missing = Token::read(Path::new("/no/such/file")).expect_err("no token");
        assert!(missing.to_string().contains("/no/such/file"));
    }
}
