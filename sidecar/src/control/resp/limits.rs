//! Limits of the resources that clients may use.

use std::time::Duration;

/// Limits of the resources that clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of connections; further ones are refused with an error.
    pub connections: usize,
    /// Timeout of a connection without requests.
    pub idle: Duration,
    /// Timeout of authentication.
    pub authentication: Duration,
    /// Timeout of sending a request once it has begun, and of accepting an answer.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            idle: Duration::from_secs(600),
            authentication: Duration::from_secs(60),
            transfer: Duration::from_secs(30),
        }
    }
}
