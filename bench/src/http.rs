//! The load with HTTP, as the program `http-worker` gets it. That program is built only for benches of HTTP, with
//! optimisations: hyper and its HTTP/2 would otherwise lengthen the build of everybody who only starts a mesh.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A version of HTTP, without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1 on connections that are kept (RFC 9112, section 9.3).
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113, section 3.3).
    Http2,
}

/// Clients that send one request after another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpLoad {
    /// Address to connect to.
    pub address: SocketAddr,
    /// The version that clients speak.
    pub version: HttpVersion,
    /// Number of connections.
    pub connections: usize,
    /// Concurrent requests on each connection; 1 with HTTP/1.1.
    pub streams: usize,
    /// Length of each response's body, in bytes.
    pub response_bytes: usize,
    /// What the clients do.
    pub behaviour: Behaviour,
}

/// What the clients of an [`HttpLoad`] do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behaviour {
    /// They send requests for this time.
    Request(Duration),
    /// They send one request on each connection, and keep it open and idle until standard input ends.
    Hold,
}

/// Maximum length of a response's body that the backend of `http-worker` sends, in bytes.
pub const MAX_RESPONSE: usize = 1 << 20;
