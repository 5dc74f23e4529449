//! Sockets that the sidecar is started with, in the protocol of systemd (LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES,
//! sd_listen_fds(3)).
//!
//! The process that holds the sockets keeps them open while the sidecar is restarted: clients wait in the backlog, and none is
//! refused. A sidecar that restarts itself hands its own sockets to its successor in the same way, see
//! [`crate::handover`].

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use listenfd::ListenFd;
use nix::libc::{AF_UNIX, SOCK_STREAM};

/// The variable with the process that the sockets are for.
pub(crate) const LISTEN_PID: &str = "LISTEN_PID";
/// The variable with the number of the sockets, which are the descriptors from [`FIRST`] on.
pub(crate) const LISTEN_FDS: &str = "LISTEN_FDS";
/// The variable with the names of the sockets, separated by colons.
pub(crate) const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
/// The first descriptor of the protocol.
pub(crate) const FIRST: i32 = 3;

/// The sockets that a process is started with and does not use yet.
#[derive(Debug, Clone, Default)]
pub struct ActivatedSockets(Arc<Mutex<Sockets>>);

#[derive(Debug, Default)]
struct Sockets {
    listeners: Vec<Named<TcpListener>>,
    udp: Vec<UdpSocket>,
    channels: Vec<Named<UnixStream>>,
}

#[derive(Debug)]
struct Named<T> {
    name: String,
    socket: T,
}

impl ActivatedSockets {
    /// Takes the sockets that this process was started with: TCP listeners, UDP sockets, and Unix streams that are
    /// connected. Others are left alone.
    #[must_use]
    pub fn from_env() -> Self {
        let names = std::env::var(LISTEN_FDNAMES).unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut found = ListenFd::from_env();
        let mut sockets = Sockets::default();
        for index in 0..found.len() {
            let name = names.next().unwrap_or_default();
            if let Ok(Some(socket)) = found.take_tcp_listener(index) {
                sockets.listeners.push(Named { name, socket });
            } else if let Ok(Some(socket)) = found.take_udp_socket(index) {
                sockets.udp.push(socket);
            } else if let Ok(Some(socket)) = found.take_custom(index, AF_UNIX, SOCK_STREAM, "stream") {
                sockets.channels.push(Named { name, socket });
            }
        }
        Self(Arc::new(Mutex::new(sockets)))
    }

    /// Takes the TCP socket that listens on an address, if there is one.
    #[must_use]
    pub fn take(&self, address: SocketAddr) -> Option<TcpListener> {
        self.take_listener(|_, local| covers(local, address))
    }

    /// As [`ActivatedSockets::take`]; for port 0, which stands for any, takes the socket of this name.
    #[must_use]
    pub fn take_named(&self, name: &str, address: SocketAddr) -> Option<TcpListener> {
        self.take_listener(|named, local| match address.port() {
            0 => named == name && local.ip() == address.ip(),
            _ => covers(local, address),
        })
    }

    fn take_listener(&self, serves: impl Fn(&str, SocketAddr) -> bool) -> Option<TcpListener> {
        let listeners = &mut self.sockets().listeners;
        let index = listeners.iter().position(|Named { name, socket }| {
            let local = socket.local_addr();
            local.is_ok_and(|local| serves(name, local))
        })?;
        Some(listeners.swap_remove(index).socket)
    }

    /// Takes the UDP socket at an address, if there is one.
    #[must_use]
    pub fn take_udp(&self, address: SocketAddr) -> Option<UdpSocket> {
        let udp = &mut self.sockets().udp;
        let index = udp
            .iter()
            .position(|socket| socket.local_addr().is_ok_and(|local| local == address))?;
        Some(udp.swap_remove(index))
    }

    /// Takes the Unix stream of this name, if there is one.
    pub(crate) fn take_channel(&self, name: &str) -> Option<UnixStream> {
        let channels = &mut self.sockets().channels;
        let index = channels.iter().position(|named| named.name == name)?;
        Some(channels.swap_remove(index).socket)
    }

    /// The addresses of the TCP and UDP sockets that nothing uses.
    #[must_use]
    pub fn unused(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets();
        let tcp = sockets.listeners.iter().map(|named| named.socket.local_addr());
        let udp = sockets.udp.iter().map(UdpSocket::local_addr);
        tcp.chain(udp).flatten().collect()
    }

    /// Closes the sockets that nothing uses.
    pub(crate) fn close_unused(&self) {
        *self.sockets() = Sockets::default();
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn a_socket_is_taken_once_by_address_or_for_port_0_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (tcp_address, udp_address) = (listener.local_addr().unwrap(), udp.local_addr().unwrap());
        let sockets = ActivatedSockets(Arc::new(Mutex::new(Sockets {
            listeners: vec![Named {
                name: "status".to_owned(),
                socket: listener,
            }],
            udp: vec![udp],
            channels: Vec::new(),
        })));
        let any_port = "127.0.0.1:0".parse().unwrap();
        assert!(sockets.take_named("resp-controller", any_port).is_none());
        let taken = sockets.take_named("status", any_port).unwrap();
        assert_eq!(taken.local_addr().unwrap(), tcp_address);
        assert!(sockets.take(tcp_address).is_none(), "it is taken");
        assert_eq!(sockets.unused(), [udp_address]);
        assert!(sockets.take_udp(udp_address).is_some());
        assert!(sockets.unused().is_empty());
    }
}
