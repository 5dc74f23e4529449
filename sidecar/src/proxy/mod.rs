//! Bytes: listeners, SOCKS5, and the relay between client and instance.
//!
//! A [`listener`] accepts and owns the connections, [`access`] says whose. [`tcp_lb`] and [`socks5`] decide
//! where a connection goes, [`connect`] takes it there, [`relay`] passes the bytes until the end. All of it happens
//! on the [`workers`].

pub mod access;
mod admission;
mod attempt;
mod backends;
pub mod connect;
mod connection;
pub mod descriptors;
mod direct;
mod flow;
pub mod listener;
mod pipe;
mod refusal;
pub mod relay;
mod session;
mod sessions;
pub mod socks5;
pub mod tcp_lb;
pub mod workers;

use std::time::Duration;

use connect::OnFailure;
pub use refusal::{Refusal, Refusals};
pub use session::SessionView;

/// To the client and to the instance.
const FILES_A_CONNECTION: u64 = 2;
/// Room for what else is open: listeners, health checks, neighbours, the control plane.
const OTHER_FILES: u64 = 64;

/// What one listener and each of its connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; while there are as many, further ones wait in the kernel's backlog.
    pub connections: usize,
    /// How long a SOCKS5 client may take to say where it wants to go.
    pub handshake: Duration,
    /// How long a connection may live without a byte in either direction.
    pub idle: Duration,
    /// What a connection does after a failed attempt to connect to an endpoint.
    pub on_connect_failure: OnFailure,
}

impl Default for Limits {
    /// 16,384 connections, 5 seconds, 15 minutes.
    fn default() -> Self {
        Self {
            connections: 16_384,
            handshake: Duration::from_secs(5),
            idle: Duration::from_secs(15 * 60),
            on_connect_failure: OnFailure::TryNext,
        }
    }
}

impl Limits {
    /// The same for a process that may open so many files: only as many connections as there are descriptors to carry
    /// them, as long as the process's other listeners have few. One more could be accepted and go nowhere; so it waits
    /// in the backlog.
    #[must_use]
    pub fn within_files(self, files: u64) -> Self {
        let carried = files.saturating_sub(OTHER_FILES) / FILES_A_CONNECTION;
        let carried = usize::try_from(carried).unwrap_or(usize::MAX);
        Self {
            connections: self.connections.min(carried.max(1)),
            ..self
        }
    }
}
