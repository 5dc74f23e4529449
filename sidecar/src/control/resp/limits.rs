//! Limits of the resources that clients may use.

use std::time::Duration;

/// Limits of the resources that clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of connections. For a further one the oldest that has not authenticated is closed; if all have, the
    /// further one is refused with an error.
    pub connections: usize,
    /// Timeout of a connection without requests.
    pub idle: Duration,
    /// Timeout of authentication.
    pub authentication: Duration,
    /// Timeout of sending a request once it has begun, and of accepting an answer.
    pub transfer: Duration,
    /// Maximum size, in bytes, of the requests of all connections that wait while earlier answers are sent. A connection
    /// beyond it is not read from, and if its client does not read its answers either, ends with an error after
    /// `transfer`.
    pub backlog: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            idle: Duration::from_secs(600),
            authentication: Duration::from_secs(10),
            transfer: Duration::from_secs(30),
            backlog: 64 * 1024 * 1024,
        }
    }
}
