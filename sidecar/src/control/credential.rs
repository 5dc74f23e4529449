//! The secret that callers of a controller must present. It is read from a file or the environment, never from the
//! command line, which every process of the machine can read.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::secret_file::warn_if_public;
use crate::text_file::{NOT_UTF8, without_mark};

/// The token that a program is given: that of the environment variable, or else 32 random bytes in base64.
pub(crate) fn for_program(variable: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()).into())
}

/// Maximum length of a secret, in bytes.
pub const MAX_SECRET: usize = 1024;

/// A password or token. Only its digest is kept, so that it cannot be logged by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    digest: [u8; 32],
    fits_header: bool,
}

/// Why a credential cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// The error of the system.
        source: io::Error,
    },
    /// It is in UTF-16, so that no caller would present it.
    #[error("{0}: {NOT_UTF8}")]
    Encoding(String),
    /// It is empty.
    #[error("{0} is empty; expected one line with the secret")]
    Empty(String),
    /// It has more than one line.
    #[error("{0} has more than one line; expected one line with the secret")]
    Lines(String),
    /// It is too long.
    #[error("{0} has more than {MAX_SECRET} bytes; expected one line with the secret")]
    TooLong(String),
}

impl Credential {
    /// Reads the secret from the file if one is named, otherwise from the environment variable if that is set. A
    /// trailing line end is not part of it. Warns about a file that every user of the machine can read.
    ///
    /// # Errors
    /// When the file cannot be read, or its content is not a valid secret.
    pub fn read(file: Option<&Path>, variable: &str) -> Result<Option<Self>, CredentialError> {
        if let Some(path) = file {
            let name = path.display().to_string();
            let secret = read(path).map_err(|source| CredentialError::Read {
                file: name.clone(),
                source,
            })?;
            // The mark is the editor's, not the secret's.
            let secret = without_mark(&secret).ok_or_else(|| CredentialError::Encoding(name.clone()))?;
            return Self::from_text(&name, secret).map(Some);
        }
        let value = std::env::var_os(variable);
        value
            .map(|value| Self::from_text(variable, value.as_encoded_bytes()))
            .transpose()
    }

    /// Parses the secret from a text; errors give `name` as its source.
    ///
    /// # Errors
    /// When the text is not a valid secret.
    pub fn from_text(name: &str, text: &[u8]) -> Result<Self, CredentialError> {
        let secret = text.strip_suffix(b"\n").unwrap_or(text);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.is_empty() {
            return Err(CredentialError::Empty(name.to_owned()));
        }
        if secret.len() > MAX_SECRET {
            return Err(CredentialError::TooLong(name.to_owned()));
        }
        if secret.contains(&b'\n') || secret.contains(&b'\r') {
            return Err(CredentialError::Lines(name.to_owned()));
        }
        Ok(Self {
            digest: Sha256::digest(secret).into(),
            // Leading and trailing spaces are not part of a header's value (RFC 9110, section 5.5).
            fits_header: secret.iter().all(|byte| (b' '..=b'~').contains(byte))
                && secret.trim_ascii().len() == secret.len(),
        })
    }

    /// Whether an HTTP header can contain it; if not, no caller can present it.
    #[must_use]
    pub fn fits_header(&self) -> bool {
        self.fits_header
    }

    /// Whether this is the secret. Takes a time that does not depend on how much of it matches.
    #[must_use]
    pub fn matches(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        let pairs = self.digest.iter().zip(given);
        let difference = pairs.fold(0, |sum, (ours, theirs)| {
            std::hint::black_box(sum | (ours ^ theirs))
        });
        difference == 0
    }
}

/// Reads a file up to slightly more than the maximum length of a secret, with a byte order mark and a line end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    let most = MAX_SECRET as u64 + 6;
    let file = File::open(path)?;
    warn_if_public(path, &file);
    file.take(most).read_to_end(&mut secret)?;
    Ok(secret)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_line_end_is_not_part_of_a_secret() {
        for text in ["secret", "secret\n", "secret\r\n"] {
            let credential = Credential::from_text("x", text.as_bytes()).expect("a secret");
            assert!(credential.matches(b"secret"), "{text:?}");
            for wrong in ["", "secre", "secret ", "Secret", "secret\n"] {
                assert!(!credential.matches(wrong.as_bytes()), "{wrong:?} for {text:?}");
            }
        }
        let spaces = Credential::from_text("x", b" a b \n").expect("a secret");
        assert!(spaces.matches(b" a b "));
    }

    #[test]
    fn a_secret_that_no_header_can_contain_is_recognised() {
        for (secret, fits) in [
            ("a b~", true),
            (" a", false),
            ("a ", false),
            ("a\tb", false),
            ("ä", false),
        ] {
            let credential = Credential::from_text("x", secret.as_bytes()).expect("a secret");
            assert_eq!(credential.fits_header(), fits, "{secret:?}");
        }
    }

    #[test]
    fn an_invalid_secret_is_refused_with_its_source() {
        let long = vec![b'x'; MAX_SECRET + 1];
        for (text, says) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"\r\n", "is empty"),
            (b"a\n\n", "more than one line"),
            (b"a\nb", "more than one line"),
            (&long, "more than 1024 bytes"),
        ] {
            let error = Credential::from_text("FILE", text).expect_err(says).to_string();
            assert!(error.contains("FILE") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_endless_file_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "from the file\n").expect("written");
        let credential = Credential::read(Some(file.path()), "SIDECAR_NO_SUCH").expect("readable");
        assert!(credential.expect("one").matches(b"from the file"));
        std::fs::write(file.path(), vec![b'x'; 1 << 20]).expect("written");
        assert!(matches!(
            Credential::read(Some(file.path()), "SIDECAR_NO_SUCH"),
            Err(CredentialError::TooLong(_))
        ));
        let endless = Credential::read(Some(Path::new("/dev/zero")), "SIDECAR_NO_SUCH");
        assert!(matches!(endless, Err(CredentialError::TooLong(_))));
        assert!(
            Credential::read(None, "SIDECAR_NO_SUCH")
                .expect("nothing")
                .is_none()
        );
    }

    #[test]
    fn debug_output_does_not_contain_the_secret() {
        let credential = Credential::from_text("x", b"secret").expect("a secret");
        assert_eq!(format!("{credential:?}"), "Credential(..)");
    }
}
