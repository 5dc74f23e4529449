//! Socket activation: listening sockets that the sidecar is started with, in the protocol of systemd (LISTEN_FDS and
//! LISTEN_PID, sd_listen_fds(3)).
//!
//! The process that holds the sockets keeps them open while the sidecar is restarted: clients wait in the backlog, and none is
//! refused.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use listenfd::ListenFd;

/// The variable with the process that the sockets are for.
pub(crate) const LISTEN_PID: &str = "LISTEN_PID";

/// TCP sockets that no listener uses yet.
#[derive(Debug, Clone, Default)]
pub struct ActivatedSockets(Arc<Mutex<Vec<TcpListener>>>);

impl ActivatedSockets {
    /// Takes the TCP sockets that this process was started with. Others are left alone.
    #[must_use]
    pub fn from_env() -> Self {
        let mut found = ListenFd::from_env();
        let taken = (0..found.len()).filter_map(|index| found.take_tcp_listener(index).ok().flatten());
        Self(Arc::new(Mutex::new(taken.collect())))
    }

    /// Takes the socket that listens on an address, if there is one.
    #[must_use]
    pub fn take(&self, address: SocketAddr) -> Option<TcpListener> {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let serves = |socket: &TcpListener| socket.local_addr().is_ok_and(|local| covers(local, address));
        let index = sockets.iter().position(serves)?;
        Some(sockets.swap_remove(index))
    }

    /// The addresses of the sockets that no listener uses.
    #[must_use]
    pub fn unused(&self) -> Vec<SocketAddr> {
        let sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }
}

/// Whether a socket at `local` can serve `address`: one at `[::]` also takes IPv4 connections, as systemd creates it for
/// a port alone.
fn covers(local: SocketAddr, address: SocketAddr) -> bool {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    local == address || local.port() == address.port() && local.ip() == any && address.ip().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_serves_its_own_address_and_any_covers_both_families() {
        let covers = |local: &str, address: &str| covers(local.parse().unwrap(), address.parse().unwrap());
        assert!(covers("127.0.0.1:80", "127.0.0.1:80"));
        assert!(covers("[::]:80", "0.0.0.0:80"));
        assert!(!covers("127.0.0.1:80", "127.0.0.1:81"));
        assert!(!covers("0.0.0.0:80", "127.0.0.1:80"));
        assert!(!covers("0.0.0.0:80", "[::]:80"));
        assert!(!covers("[::]:80", "0.0.0.0:81"));
    }
}
