//! A server: its identity and its counters.

use std::net::SocketAddr;

use tokio::sync::Notify;

use super::connect_failures::{ConnectFailureCounters, Connects};
use super::counters::Counters;
use super::down_signal::DownSignal;
use super::health_check::{CheckCounters, Checks};
use super::requests::RequestCounters;
use crate::resolve::HostPort;

/// A server of a group. It outlives its removal from the group while there are connections to it.
#[derive(Debug)]
pub struct Server {
    pub(super) id: u64,
    name: String,
    address: SocketAddr,
    host: Option<HostPort>,
    counters: Counters,
    requests: RequestCounters,
    pub(super) connects: ConnectFailureCounters,
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
            host: None,
            counters: Counters::default(),
            requests: RequestCounters::default(),
            connects: ConnectFailureCounters::default(),
            checks: CheckCounters::default(),
            recheck: Notify::new(),
            down_signal: DownSignal::default(),
        }
    }

    /// Its address was resolved from this host name.
    pub(super) fn of_host(self, host: Option<HostPort>) -> Self {
        Self { host, ..self }
    }

    /// Its identity within its group; never reused.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name, unique within its group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host name that its address was resolved from, if it was.
    pub fn host(&self) -> Option<&HostPort> {
        self.host.as_ref()
    }

    /// Connections to it and the bytes that they carried.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// HTTP requests to it.
    pub fn requests(&self) -> &RequestCounters {
        &self.requests
    }

    /// Failed attempts to connect to it.
    pub fn connects(&self) -> Connects {
        self.connects.read()
    }

    /// Its health checks.
    pub fn checks(&self) -> Checks {
        self.checks.read()
    }

    /// Counts a health check that could not be made, for a fault of ours.
    pub fn check_not_made(&self) {
        self.checks.count_not_made();
    }

    /// Ends the connections to it, over which nothing more will come.
    pub(super) fn mark_down(&self, group: &str) {
        let connections = self.counters.active();
        self.down_signal.send();
        if connections > 0 {
            tracing::info!(
                group,
                server = self.name,
                address = %self.address,
                connections,
                "server is down: its connections are reset"
            );
        }
    }

    /// Waits until the server must be checked at once, because a connection to it failed.
    pub async fn recheck_wanted(&self) {
        self.recheck.notified().await;
    }
}
