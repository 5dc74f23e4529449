//! Bytes: listeners, SOCKS5, and the relay between client and instance.
//!
//! A [`listener`] accepts and owns the connections. [`tcp_lb`] and [`socks5`] decide where a connection goes,
//! [`connect`] takes it there, [`relay`] passes the bytes until the end.

pub mod connect;
mod direct;
mod flow;
pub mod listener;
pub mod relay;
mod session;
pub mod socks5;
pub mod tcp_lb;

use std::time::Duration;

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
pub mod access;
/// stub
#[derive(Debug, Clone)]
pub struct SessionView {
    /// a
    pub client: std::net::SocketAddr,
    /// b
    pub local: std::net::SocketAddr,
    /// c
    pub instance: Option<std::net::SocketAddr>,
    /// d
    pub instance_local: Option<std::net::SocketAddr>,
}
impl listener::Listener {
    /// s
    pub fn sessions(&self) -> Vec<SessionView> {
        vec![]
    }
    /// c
    pub fn cut_sessions(&self, _f: impl Fn(&SessionView) -> bool) -> usize {
        0
    }
}
impl tcp_lb::TcpLb {
    /// s
    pub fn set_security_group(&self, _g: Option<std::sync::Arc<access::SecurityGroup>>) {}
}
impl socks5::Socks5Server {
    /// s
    pub fn set_security_group(&self, _g: Option<std::sync::Arc<access::SecurityGroup>>) {}
}
