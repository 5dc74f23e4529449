//! What the connections to a port carry, and thus what its waypoint balances. Never guessed from the port's number.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What the connections to a port carry, by the word that a waypoint reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppProtocol {
    /// Bytes: connections are balanced.
    #[default]
    Tcp,
    /// HTTP/1.0 and HTTP/1.1: requests are balanced.
    Http1,
    /// HTTP/2 without TLS: requests are balanced.
    H2,
    /// Either of the two, by a connection's first bytes.
    Http,
}

impl AppProtocol {
    /// What Compose's `app_protocol` means. TLS hides what it carries, so it is TCP.
    pub(super) fn declared(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "http" | "http1" | "http/1.1" | "grpc-web" | "ws" | "kubernetes.io/ws" => Self::Http,
            "http2" | "h2c" | "kubernetes.io/h2c" | "grpc" => Self::H2,
            _ => Self::Tcp,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http1 => "http/1.x",
            Self::H2 => "h2",
            Self::Http => "http",
        }
    }
}

impl FromStr for AppProtocol {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all = [Self::Tcp, Self::Http1, Self::H2, Self::Http];
        all.into_iter()
            .find(|protocol| protocol.as_str() == word)
            .ok_or(())
    }
}

impl fmt::Display for AppProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AppProtocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
