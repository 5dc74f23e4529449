//! A connection's claim on the server that it picked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ServerGroup;
use crate::balance::counters::Direction;
use crate::balance::outlier::Outcome;
use crate::balance::server::Server;
use crate::fault::Fault;

/// Timeout of an attempt to connect to an endpoint that no check has passed yet, if another candidate is left. Lower finds
/// one that answers sooner among dead addresses; higher reaches more of the distant ones at the first attempt.
pub const UNTESTED_TIMEOUT: Duration = Duration::from_millis(100);

/// What kind of endpoint was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::balance) enum Kind {
    /// A check has passed.
    Proven,
    /// No check has passed yet.
    Untested,
    /// Its node is down.
    LastChoice,
}

/// A picked server. The connection counts as active on it, and on its group, until this is dropped.
#[derive(Debug)]
pub struct Lease {
    group: Arc<ServerGroup>,
    server: Arc<Server>,
    kind: Kind,
    /// Limit of the timeout for connecting to it.
    timeout_limit: Duration,
    /// Number of times that the server had gone down when it was picked.
    downs: u64,
    /// Whether its group ejects servers for their answers.
    pub(super) is_recorded: bool,
    /// Whether a request that picked it decides if the ejected server is back.
    pub(super) is_trial: bool,
}

impl Lease {
    pub(super) fn new(group: Arc<ServerGroup>, server: Arc<Server>, kind: Kind) -> Self {
        server.counters().open();
        group.counters().open();
        let downs = server.down_signal.count();
        Self {
            group,
            server,
            kind,
            timeout_limit: Duration::MAX,
            downs,
            is_recorded: false,
            is_trial: false,
        }
    }

    /// Limits the timeout for connecting to it: another candidate is left, and its address may be dead.
    pub(super) fn hurry(&mut self) {
        self.timeout_limit = UNTESTED_TIMEOUT;
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Timeout for connecting: that of the group's health checks, or less.
    pub fn connect_timeout(&self) -> Duration {
        self.group.check_config().timeout.min(self.timeout_limit)
    }

    /// The server picked.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The group it was picked from.
    pub fn group(&self) -> &Arc<ServerGroup> {
        &self.group
    }

    /// Waits until the connections of the server end: its health checks get no answer, another node is in its node's
    /// place, or it is the last choice while another one is usable. Those of a server that was withdrawn or removed live
    /// on.
    pub async fn down(&self) {
        self.server.down_signal.after(self.downs).await;
    }

    /// As [`Lease::down`], for a connection that is used for other leases afterwards.
    pub fn watch_down(&self) -> impl Future<Output = ()> + Send + use<> {
        let (server, downs) = (Arc::clone(&self.server), self.downs);
        async move { server.down_signal.after(downs).await }
    }

    /// Whether the connections of the server have ended, see [`Lease::down`].
    pub fn is_down(&self) -> bool {
        self.server.down_signal.count() != self.downs
    }

    /// Counts the connection as established.
    pub fn established(&self, took: Duration) {
        self.group.connect_latency.observe(took);
        self.server.counters().established();
        self.group.counters().established();
    }

    /// Counts a failed attempt to connect.
    pub fn failed(self, fault: Fault) -> FailedLease {
        self.server.connects.failed(fault);
        self.group.connects.failed(fault);
        FailedLease {
            group: Arc::clone(&self.group),
            server: Arc::clone(&self.server),
            kind: self.kind,
            fault,
        }
    }

    /// Records how its request ended, for outlier ejection.
    pub fn record(&self, outcome: Outcome, now: Instant) {
        if self.is_recorded {
            self.group.record(&self.server, outcome, self.is_trial, now);
        }
    }

    /// Counts a request that has ended, with its method and the status of its answer, if there was one.
    pub fn request_ended(&self, method: &str, status: Option<u16>, took: Duration) {
        self.server.requests().ended(method, status, took);
        self.group.requests().ended(method, status, took);
    }

    /// Counts that its request was a call of gRPC, which has ended with this value of `grpc-status`.
    pub fn grpc_ended(&self, status: &[u8]) {
        self.server.requests().grpc_ended(status);
        self.group.requests().grpc_ended(status);
    }

    /// Counts that its request was sent again, because the server ended the connection.
    pub fn retried(&self) {
        self.server.requests().retried();
        self.group.requests().retried();
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

/// A server that could not be connected to. The connection no longer counts as active on it.
#[derive(Debug)]
pub struct FailedLease {
    pub(in crate::balance) group: Arc<ServerGroup>,
    pub(in crate::balance) server: Arc<Server>,
    pub(in crate::balance) kind: Kind,
    pub(in crate::balance) fault: Fault,
}

impl FailedLease {
    /// Ejects the endpoint and has its health checked at once: until a check passes, it is picked only if no other
    /// candidate is left. Does nothing if the fault was ours.
    pub fn eject(&self) {
        if !self.fault.is_own() {
            self.group.eject(&self.server);
            self.server.recheck.notify_one();
        }
    }

    /// Counts that the connection went on to another candidate.
    pub fn failed_over(self) {
        self.server.connects.failed_over();
        self.group.connects.failed_over();
    }
}
