//! The token that a sidecar may ask its callers for (`--http-token-file`).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use hyper::header::HeaderValue;

/// The longest token, in bytes: as long as a sidecar takes one.
const LONGEST: usize = 1024;

/// A token, as the value of the header that shows it. It does not tell itself in logs.
#[derive(Debug, Clone)]
pub struct Token(HeaderValue);

/// Why there is no token where one was to be.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token in {file}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be what was meant.
    #[error("{0} holds no token; expected one line of at most {LONGEST} bytes")]
    Malformed(String),
}

impl Token {
    /// The token in a file; a line end behind it does not belong to it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut text = Vec::new();
        // Room for the line end, and for what shows that it is too long.
        let most = LONGEST as u64 + 3;
        let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut text));
        let file = path.display().to_string();
        match read {
            Ok(_) => Self::from_text(&text).ok_or(TokenError::Malformed(file)),
            Err(source) => Err(TokenError::Read { file, source }),
        }
    }

    fn from_text(text: &[u8]) -> Option<Self> {
        let token = text.strip_suffix(b"\n").unwrap_or(text);
        let token = token.strip_suffix(b"\r").unwrap_or(token);
        if token.is_empty() || token.len() > LONGEST {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_it() {
        for text in ["secret", "secret\n", "secret\r\n"] {
            let token = Token::from_text(text.as_bytes()).expect("a token");
            assert_eq!(token.header(), "Bearer secret", "{text:?}");
            assert!(!format!("{token:?}").contains("secret"));
        }
    }

    #[test]
    fn what_is_no_token_is_told() {
        for text in ["", "\n", "a\nb", &"x".repeat(LONGEST + 1)] {
            assert!(Token::from_text(text.as_bytes()).is_none(), "{text:?}");
        }
        let endless = Token::read(Path::new("/dev/zero")).expect_err("no token");
        assert!(endless.to_string().contains("/dev/zero"));
        let missing = Token::read(Path::new("/no/such/file")).expect_err("no token");
        assert!(missing.to_string().contains("/no/such/file"));
    }
}
