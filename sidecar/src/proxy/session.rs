//! A connection while it lasts: who, where to, how much so far, and how to end it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::balance::{Direction, Lease, Server, ServerGroup};

/// A connection as it shows from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The client's address.
    pub client: SocketAddr,
    /// Our address on the client's side.
    pub local: SocketAddr,
    /// Our address on the instance's side; none while it is not connected.
    pub instance_local: Option<SocketAddr>,
    /// The instance's address; none while it is not connected.
    pub instance: Option<SocketAddr>,
    /// The backends' name, or what a SOCKS5 client asked for; empty until that is known.
    pub destination: String,
    /// The group of the instance; none while it is not connected, or where it is no backend.
    pub group: Option<String>,
    /// The instance's name within its group; none where there is no group.
    pub server: Option<String>,
    /// Bytes passed to the instance so far.
    pub to_instance: u64,
    /// Bytes passed to the client so far.
    pub to_client: u64,
    /// Since it was accepted.
    pub age: Duration,
}

/// What is known of one connection. Written by its own task, read by whoever asks.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    accepted: Instant,
    destination: OnceLock<Arc<str>>,
    reached: OnceLock<Reached>,
    to_instance: AtomicU64,
    to_client: AtomicU64,
    is_aborted: AtomicBool,
    abort_notice: Notify,
}

#[derive(Debug)]
struct Reached {
    /// The connection, which alone knows our address on this side. It is looked up when asked for, because that
    /// is a system call.
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
            reached: OnceLock::new(),
            to_instance: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            is_aborted: AtomicBool::new(false),
            abort_notice: Notify::new(),
        }
    }

    /// Notes where the client wants to go.
    pub(super) fn set_destination(&self, destination: Arc<str>) {
        // It is known once and does not change.
        let _ = self.destination.set(destination);
    }

    /// Where the client wants to go; empty until that is known.
    pub(super) fn destination(&self) -> &str {
        self.destination.get().map_or("", |destination| destination)
    }

    /// Notes where it got.
    pub(super) fn set_reached(&self, stream: &Arc<TcpStream>, instance: SocketAddr, lease: Option<&Lease>) {
        let _ = self.reached.set(Reached {
            stream: Arc::downgrade(stream),
            instance,
            backend: lease.map(|lease| (Arc::clone(lease.group()), Arc::clone(lease.server()))),
        });
    }

    /// Counts bytes passed, from the connection's own task alone.
    pub(super) fn moved(&self, direction: Direction, bytes: u64) {
        let count = match direction {
            Direction::ToInstance => &self.to_instance,
            Direction::ToClient => &self.to_client,
        };
        // There is one writer, so this loses nothing and needs no locked instruction.
        count.store(count.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    pub(super) fn age(&self) -> Duration {
        self.accepted.elapsed()
    }

    /// Ends the connection at once. Returns whether it was not told so before.
    pub(super) fn abort(&self) -> bool {
        let first = !self.is_aborted.swap(true, Ordering::Relaxed);
        if first {
            // One task waits, or will: it finds the notice when it does.
            self.abort_notice.notify_one();
        }
        first
    }

    /// Waits until it is to end at once; for the connection's own task alone, and told once.
    pub(super) async fn aborted(&self) {
        self.abort_notice.notified().await;
    }

    pub(super) fn view(&self) -> SessionView {
        let reached = self.reached.get();
        let backend = reached.and_then(|r| r.backend.as_ref());
        SessionView {
            client: self.client,
            local: self.local,
            instance_local: reached.and_then(|r| r.stream.upgrade()?.local_addr().ok()),
            instance: reached.map(|r| r.instance),
            destination: self.destination().to_owned(),
            group: backend.map(|(group, _)| group.name().to_owned()),
            server: backend.map(|(_, server)| server.name().to_owned()),
            to_instance: self.to_instance.load(Ordering::Relaxed),
            to_client: self.to_client.load(Ordering::Relaxed),
            age: self.age(),
        }
    }
}
