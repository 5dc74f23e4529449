//! Encodes answers, in both versions of the protocol.

use std::borrow::Cow;

/// The protocol's version; a connection starts with RESP2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// RESP2.
    #[default]
    Two,
    /// RESP3, which adds maps and null.
    Three,
}

impl Version {
    /// Its number.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A word or two, such as `OK`.
    Simple(&'static str),
    /// An error that redis has, too: a code by which its clients know it, and a message for people.
    Error(&'static str, String),
    /// An error of a command: a message alone, as the original sends it.
    Refused(String),
    /// A number.
    Integer(i64),
    /// Any bytes.
    Bulk(Vec<u8>),
    /// Several answers in order.
    Array(Vec<Answer>),
    /// Pairs; in RESP2 an array of alternating keys and values.
    Map(Vec<(Answer, Answer)>),
    /// Nothing.
    Null,
}

impl Answer {
    /// The command succeeded.
    pub const OK: Self = Self::Simple("OK");

    /// An error of redis without a code of its own.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::Error("ERR", text.into())
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bulk(text.into().into_bytes())
    }

    /// Appends the answer's bytes.
    pub fn encode(&self, version: Version, to: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => line(b'+', text, to),
            Self::Error(code, text) => line(b'-', &format!("{code} {}", one_line(text)), to),
            Self::Refused(text) => line(b'-', &one_line(text), to),
            Self::Integer(number) => line(b':', &number.to_string(), to),
            Self::Bulk(bytes) => {
                line(b'$', &bytes.len().to_string(), to);
                to.extend_from_slice(bytes);
                to.extend_from_slice(b"\r\n");
            }
            Self::Array(items) => {
                line(b'*', &items.len().to_string(), to);
                for item in items {
                    item.encode(version, to);
                }
            }
            Self::Map(pairs) => {
                match version {
                    Version::Two => line(b'*', &(2 * pairs.len()).to_string(), to),
                    Version::Three => line(b'%', &pairs.len().to_string(), to),
                }
                for (key, value) in pairs {
                    key.encode(version, to);
                    value.encode(version, to);
                }
            }
            Self::Null => match version {
                Version::Two => line(b'$', "-1", to),
                Version::Three => line(b'_', "", to),
            },
        }
    }
}

fn line(kind: u8, text: &str, to: &mut Vec<u8>) {
    to.push(kind);
    to.extend_from_slice(text.as_bytes());
    to.extend_from_slice(b"\r\n");
}

/// A text without characters that would end its line early: it may contain words of a request.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) {
        Cow::Owned(text.replace(['\r', '\n'], " "))
    } else {
        Cow::Borrowed(text)
    }
}
