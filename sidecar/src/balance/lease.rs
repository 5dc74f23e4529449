//! A connection's claim on the server that was picked for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::connects::Failure;
use super::counters::Direction;
use super::group::ServerGroup;
use super::server::Server;
use crate::breakage::{Breakage, broken};

/// The addresses that one connection has tried already. Empty, it costs nothing.
#[derive(Debug, Default)]
pub struct Tried(Vec<SocketAddr>);

impl Tried {
    /// Nothing tried yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the address out of this connection's further picks.
    pub fn add(&mut self, address: SocketAddr) {
        self.0.push(address);
    }

    /// Whether the address was tried.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether this is the first pick.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A picked server. The connection counts as active on it, and on its group, until this is dropped.
#[derive(Debug)]
pub struct Lease {
    group: Arc<ServerGroup>,
    server: Arc<Server>,
    /// How often the server had been lost when it was picked.
    down_signal: u64,
}

impl Lease {
    pub(super) fn new(group: Arc<ServerGroup>, server: Arc<Server>) -> Self {
        server.counters().open();
        group.counters().open();
        let down_signal = server.down_signal.count();
        Self {
            group,
            server,
            down_signal,
        }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How long connecting may take: the check timeout of the group.
    pub fn connect_timeout(&self) -> Duration {
        self.group.check_config().timeout
    }

    /// The server picked.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The group it was picked from.
    pub fn group(&self) -> &Arc<ServerGroup> {
        &self.group
    }

    /// Waits until the server is lost: its node was called down, or its checks got no answer. What is sent to it
    /// from then on goes nowhere, and nothing comes back. A server that was removed in order is not lost.
    pub async fn down(&self) {
        self.server.down_signal.beyond(self.down_signal).await;
    }

    /// Says that the connection stands and how long it took to make.
    pub fn established(&self, took: Duration) {
        self.group.connect_timer.observe(took);
        self.server.counters().established();
        self.group.counters().established();
    }

    /// Says that the connection could not be made. Unless that was for a lack of our own, the server becomes a
    /// suspect, picked last, until a check passes, and that check is made at once.
    pub fn failed(self, failure: Failure) -> FailedLease {
        self.server.connects.failed(failure);
        self.group.connects.failed(failure);
        if failure != Failure::OutOfRoom && !broken(Breakage::NoFailover) {
            self.group.eject(&self.server);
            self.server.recheck.notify_one();
        }
        FailedLease {
            group: Arc::clone(&self.group),
            server: Arc::clone(&self.server),
        }
    }

    /// Counts bytes passed.
    pub fn moved(&self, direction: Direction, bytes: u64) {
        self.server.counters().moved(direction, bytes);
        self.group.counters().moved(direction, bytes);
    }
}

/// A server that a connection could not be made to; it is not active there any more.
#[derive(Debug)]
pub struct FailedLease {
    group: Arc<ServerGroup>,
    server: Arc<Server>,
}

impl FailedLease {
    /// Says that the connection goes on to another candidate.
    pub fn failed_over(self) {
        self.server.connects.failed_over();
        self.group.connects.failed_over();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.counters().close();
        self.group.counters().close();
    }
}
