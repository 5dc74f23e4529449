//! An open connection: its addresses, its counters, and a way to abort it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::balance::{Direction, Lease, Server, ServerGroup};

/// An open connection, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The client's address.
    pub client: SocketAddr,
    /// Our address on the client's side.
    pub local: SocketAddr,
    /// Our address on the instance's side; `None` until it is connected.
    pub instance_local: Option<SocketAddr>,
    /// The instance's address; `None` until it is connected.
    pub instance: Option<SocketAddr>,
    /// The backends' name, or the destination that a SOCKS5 client requested; empty until it is known.
    pub destination: String,
    /// The instance's group; `None` until it is connected, or if it is not a backend.
    pub group: Option<String>,
    /// The instance's name within its group; `None` if there is no group.
    pub server: Option<String>,
    /// Bytes passed to the instance so far.
    pub to_instance: u64,
    /// Bytes passed to the client so far.
    pub to_client: u64,
    /// Time since it was accepted.
    pub age: Duration,
}

/// The state of an open connection. Written by its own task, read by others.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    accepted: Instant,
    destination: OnceLock<Arc<str>>,
    connected: OnceLock<Connected>,
    to_instance: AtomicU64,
    to_client: AtomicU64,
    is_aborted: AtomicBool,
    abort: Notify,
}

#[derive(Debug)]
struct Connected {
    /// The socket. Our address on this side is read from it only when listed, because that takes a system call.
    stream: Weak<TcpStream>,
    instance: SocketAddr,
    backend: Option<(Arc<ServerGroup>, Arc<Server>)>,
}

impl Session {
    pub(super) fn new(id: u64, client: SocketAddr, local: SocketAddr) -> Self {
        Self {
            id,
            client,
            local,
            accepted: Instant::now(),
            destination: OnceLock::new(),
            connected: OnceLock::new(),
            to_instance: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            is_aborted: AtomicBool::new(false),
            abort: Notify::new(),
        }
    }

    /// Records the destination.
    pub(super) fn set_destination(&self, destination: Arc<str>) {
        // Set once; it does not change.
        let _ = self.destination.set(destination);
    }

    /// The destination; empty until it is known.
    pub(super) fn destination(&self) -> &str {
        self.destination.get().map_or("", |destination| destination)
    }

    /// Records the instance that it is connected to.
    pub(super) fn set_connected(&self, stream: &Arc<TcpStream>, instance: SocketAddr, lease: Option<&Lease>) {
        let _ = self.connected.set(Connected {
            stream: Arc::downgrade(stream),
            instance,
            backend: lease.map(|lease| (Arc::clone(lease.group()), Arc::clone(lease.server()))),
        });
    }

    /// Counts bytes passed. Only the connection's own task calls it.
    pub(super) fn moved(&self, direction: Direction, bytes: u64) {
        let count = match direction {
            Direction::ToInstance => &self.to_instance,
            Direction::ToClient => &self.to_client,
        };
        // A single writer needs no atomic addition.
        count.store(count.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    pub(super) fn age(&self) -> Duration {
        self.accepted.elapsed()
    }

    /// Aborts the connection. Returns false if it was aborted before.
    pub(super) fn abort(&self) -> bool {
        let first = !self.is_aborted.swap(true, Ordering::Relaxed);
        if first {
            // The only task that waits, now or later, gets this permit.
            self.abort.notify_one();
        }
        first
    }

    /// Waits until the connection is aborted. Only the connection's own task calls it; it returns once.
    pub(super) async fn aborted(&self) {
        self.abort.notified().await;
    }

    pub(super) fn view(&self) -> SessionView {
        let connected = self.connected.get();
        let backend = connected.and_then(|r| r.backend.as_ref());
        SessionView {
            client: self.client,
            local: self.local,
            instance_local: connected.and_then(|r| r.stream.upgrade()?.local_addr().ok()),
            instance: connected.map(|r| r.instance),
            destination: self.destination().to_owned(),
            group: backend.map(|(group, _)| group.name().to_owned()),
            server: backend.map(|(_, server)| server.name().to_owned()),
            to_instance: self.to_instance.load(Ordering::Relaxed),
            to_client: self.to_client.load(Ordering::Relaxed),
            age: self.age(),
        }
    }
}
