//! A connection's claim on the server that was picked for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::connects::Failure;
use super::counters::Direction;
use super::group::ServerGroup;
use super::server::Server;

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

    /// Counts a failed attempt to connect.
    pub fn failed(self, failure: Failure) -> FailedLease {
        self.server.connects.failed(failure);
        self.group.connects.failed(failure);
        FailedLease {
            group: Arc::clone(&self.group),
            server: Arc::clone(&self.server),
            failure,
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
    failure: Failure,
}

impl FailedLease {
    /// Ejects the endpoint and has it checked at once: until a check passes, it is picked only if there is no other
    /// candidate. Does nothing if the failure was ours.
    pub fn eject(&self) {
        if self.failure != Failure::OutOfRoom {
            self.group.eject(&self.server);
            self.server.recheck.notify_one();
        }
    }

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
