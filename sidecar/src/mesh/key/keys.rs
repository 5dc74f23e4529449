//! The keys of a mesh: one to four of 32 bytes, each a line of base64. The first seals, all open.

use std::fmt::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead, AeadInOut, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::envelope::NONCE;

/// Length of a key, in bytes.
pub const KEY: usize = 32;
/// Limit of the keys of a file. Rotation needs two; each more costs an attempt to open a message of a stranger.
pub const MAX_KEYS: usize = 4;

/// Why a text holds no usable keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyFileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected and found. It contains nothing of a key.
    pub message: String,
}

/// One to four keys, in the order of their file.
#[derive(Clone)]
pub struct Keys {
    ciphers: Vec<XChaCha20Poly1305>,
    digests: Vec<[u8; 32]>,
}

impl Keys {
    /// Parses the text of a key file. Empty lines and lines that begin with `#` are ignored.
    ///
    /// # Errors
    /// The first line that holds no key, is a key that was there before, or is one too many; the last line if there is no
    /// key at all.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut keys = Self {
            ciphers: Vec::new(),
            digests: Vec::new(),
        };
        let mut lines: Vec<usize> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |message| KeyFileError {
                line: number,
                message,
            };
            if keys.ciphers.len() == MAX_KEYS {
                return Err(fault(format!(
                    "expected at most {MAX_KEYS} keys, found another one"
                )));
            }
            let key = decode(line).map_err(fault)?;
            let digest = Sha256::digest(key).into();
            if let Some(first) = keys.digests.iter().position(|other| *other == digest) {
                let first = lines.get(first).copied().unwrap_or_default();
                return Err(fault(format!("the same key as on line {first}; remove one")));
            }
            keys.ciphers.push(XChaCha20Poly1305::new(&key.into()));
            keys.digests.push(digest);
            lines.push(number);
        }
        if keys.ciphers.is_empty() {
            return Err(KeyFileError {
                line: text.lines().count().max(1),
                message: format!(
                    "expected 1 to {MAX_KEYS} keys, one a line, found none; `sidecar key` makes one"
                ),
            });
        }
        Ok(keys)
    }

    /// Names the keys without revealing them: the start of the SHA-256 digest of each, in their order.
    #[must_use]
    pub fn fingerprints(&self) -> String {
        let mut text = String::new();
        for (index, digest) in self.digests.iter().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            for byte in &digest[..4] {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
        text
    }

    /// Encrypts with the first key, and appends the result to a message. The associated data is authenticated as well.
    pub(super) fn seal(&self, nonce: [u8; NONCE], associated: &[u8], plain: &[u8], message: &mut Vec<u8>) {
        let start = message.len();
        message.extend_from_slice(plain);
        let content = message.get_mut(start..).unwrap_or_default();
        let nonce = XNonce::from(nonce);
        let first = self.ciphers.first();
        match first.map(|key| key.encrypt_inout_detached(&nonce, associated, content.into())) {
            Some(Ok(tag)) => message.extend_from_slice(&tag),
            // The cipher refuses only messages of 256 GiB. No peer opens an empty one.
            Some(Err(_)) | None => message.truncate(start),
        }
    }

    /// Decrypts with the key that fits. `None` if none does.
    pub(super) fn open(&self, nonce: [u8; NONCE], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.ciphers.iter().find_map(|key| {
            let payload = Payload {
                msg: sealed,
                aad: associated,
            };
            key.decrypt(&XNonce::from(nonce), payload).ok()
        })
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.digests == other.digests
    }
}

impl Eq for Keys {}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.fingerprints())
    }
}

/// A line of a key file, for these random bytes.
#[must_use]
pub fn encode(key: [u8; KEY]) -> String {
    BASE64_STANDARD.encode(key)
}

/// The message describes the fault without a character of the key, which may be nearly right.
fn decode(line: &str) -> Result<[u8; KEY], String> {
    let expected =
        format!("expected a key of {KEY} bytes in base64 (44 characters, as `sidecar key` prints them)");
    let bytes = BASE64_STANDARD.decode(line).map_err(|_| {
        format!(
            "{expected}, found {} characters that are not that",
            line.chars().count()
        )
    })?;
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| format!("{expected}, found base64 of {length} bytes"))
}
