//! The data plane: listeners, SOCKS5, and the relay between client and instance.
//!
//! A connection's path, file by file:
//! * [`listener`] owns the connections, [`access`] decides which clients are served, `admission.rs` starts a task for each;
//! * [`tcp_lb`] and [`socks5`] know the backends, from which [`crate::balance`] picks an endpoint;
//! * [`connect`] connects to the endpoint; if that fails it ejects the endpoint and picks the next candidate;
//! * [`relay`] passes the bytes in both directions to the end.
//!
//! All of it runs on the [`workers`].

pub mod access;
mod admission;
mod attempt;
mod backends;
mod buffers;
pub mod connect;
mod connection;
mod flow;
mod hold;
mod http;
pub mod http_proxy;
mod idle;
pub mod listener;
mod pace;
mod peers;
mod pipe;
mod proxy_header;
mod refusal;
pub mod relay;
mod session;
mod sessions;
mod shared;
pub mod socks5;
pub mod tcp_lb;
pub mod workers;

use std::time::Duration;

pub use buffers::{RECEIVE_BUFFER, UNSENT};
use connect::OnFailure;
pub use idle::{IdleClock, Keepalive};
pub use peers::MAX_FROM_INSTANCE;
pub use refusal::{Refusal, Refusals};
pub use session::SessionView;

/// Limits and policy of a listener's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Timeout for a SOCKS5 client's handshake.
    pub handshake: Duration,
    /// Idle timeout: a connection without a byte in either direction for this time is closed; zero closes none.
    pub idle: Duration,
    /// Keepalive of both ends of a connection.
    pub keepalive: Keepalive,
    /// Time for which a connection waits while no endpoint takes it; zero refuses it at once.
    pub hold: Duration,
    /// The reaction to a failed attempt to connect to an endpoint.
    pub on_connect_failure: OnFailure,
}

impl Default for Limits {
    /// 16,384 connections, 5 seconds; none is closed because it is idle, and none waits for an endpoint.
    fn default() -> Self {
        Self {
            connections: 16_384,
            handshake: Duration::from_secs(5),
            idle: Duration::ZERO,
            keepalive: Keepalive::default(),
            hold: Duration::ZERO,
            on_connect_failure: OnFailure::TryNext,
        }
    }
}
