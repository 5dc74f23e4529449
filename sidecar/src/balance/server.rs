//! Who a server is and what went through it.

use std::net::SocketAddr;

use tokio::sync::Notify;

use super::connects::{ConnectCounters, Connects};
use super::counters::Counters;
use super::down_signal::DownSignal;
use super::health::{CheckCounters, Checks};

/// One server of a group. It outlives its removal from the group for as long as
/// connections to it last.
#[derive(Debug)]
pub struct Server {
    pub(super) id: u64,
    name: String,
    address: SocketAddr,
    counters: Counters,
    pub(super) connects: ConnectCounters,
    pub(super) checks: CheckCounters,
    pub(super) recheck: Notify,
    pub(super) down_signal: DownSignal,
}

impl Server {
    pub(super) fn new(id: u64, name: String, address: SocketAddr) -> Self {
        Self {
            id,
            name,
            address,
            counters: Counters::default(),
            connects: ConnectCounters::default(),
            checks: CheckCounters::default(),
            recheck: Notify::new(),
            down_signal: DownSignal::default(),
        }
    }

    /// Its identity within its group, never used again for another.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name, unique within its group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What went through it.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How connecting to it failed.
    pub fn connects(&self) -> Connects {
        self.connects.read()
    }

    /// How its checks went.
    pub fn checks(&self) -> Checks {
        self.checks.read()
    }

    /// Ends the connections to it, because nothing will come over them any more.
    pub(super) fn mark_down(&self, group: &str) {
        let connections = self.counters.active();
        self.down_signal.tell();
        if connections > 0 {
            tracing::info!(
                group,
                server = self.name,
                address = %self.address,
                connections,
                "server is lost: its connections are ended"
            );
        }
    }

    /// Waits until a connection to it failed, so that a check is due at once.
    pub async fn recheck_wanted(&self) {
        self.recheck.notified().await;
    }
}
