//! Bytes: listeners, SOCKS5, and the relay between client and instance.
//!
//! A [`listener`] accepts and owns the connections, [`access`] says whose. [`tcp_lb`] and [`socks5`] decide
//! where a connection goes, [`connect`] takes it there, [`relay`] passes the bytes until the end. All of it happens
//! on the [`workers`].

mod accept;
pub mod access;
mod attempt;
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

pub use refusal::{Refusal, Refusals};
pub use session::SessionView;

/// What one listener and each of its connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; while there are as many, further ones wait in the kernel's backlog.
    pub connections: usize,
    /// How long a SOCKS5 client may take to say where it wants to go.
    pub handshake: Duration,
    /// How long a connection may live without a byte in either direction.
    pub idle: Duration,
}

impl Default for Limits {
    /// 16,384 connections, 5 seconds, 15 minutes.
    fn default() -> Self {
        Self {
            connections: 16_384,
            handshake: Duration::from_secs(5),
            idle: Duration::from_secs(15 * 60),
        }
    }
}
