//! What connections to a group or a listener carry, and thus what is balanced.

use std::fmt;
use std::str::FromStr;

/// What a listener's connections carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// Bytes: a connection is balanced as a whole.
    #[default]
    Tcp,
    /// HTTP/1.0 and HTTP/1.1: each request is balanced by itself.
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113, section 3.3): each stream is balanced by itself.
    H2,
    /// Either of the two, by the connection's first bytes.
    Http,
}

/// A word that names no protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a protocol: expected tcp, http/1.x, h2 or http")]
pub struct UnknownProtocol(pub String);

impl Protocol {
    /// The word for it in commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http1 => "http/1.x",
            Self::H2 => "h2",
            Self::Http => "http",
        }
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(word: &str) -> Result<Self, UnknownProtocol> {
        match word {
            "tcp" => Ok(Self::Tcp),
            "http/1.x" => Ok(Self::Http1),
            "h2" => Ok(Self::H2),
            "http" => Ok(Self::Http),
            _ => Err(UnknownProtocol(word.to_owned())),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
