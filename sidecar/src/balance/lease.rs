//! A connection's claim on the server that was picked for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
}

impl Lease {
    pub(super) fn new(group: Arc<ServerGroup>, server: Arc<Server>) -> Self {
        server.counters().open();
        group.counters().open();
        Self { group, server }
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
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The group it was picked from.
    pub fn group(&self) -> &Arc<ServerGroup> {
        &self.group
    }

    /// Says that the connection stands.
    pub fn established(&self) {
        self.server.counters().established();
        self.group.counters().established();
    }

    /// Says that the server refused the connection or could not be reached: it becomes a suspect, picked
    /// last, until a check passes, and that check is made at once.
    pub fn failed(&self) {
        self.group.suspect(&self.server);
        self.server.recheck.notify_one();
    }

    /// Counts bytes passed.
    pub fn moved(&self, direction: Direction, bytes: u64) {
        self.server.counters().moved(direction, bytes);
        self.group.counters().moved(direction, bytes);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.counters().close();
        self.group.counters().close();
    }
}
