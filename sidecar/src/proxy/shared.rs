//! The state shared by a listener and its connections: limits, permits, counters, open connections, peers, security group.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::access::{SecurityGroup, Verdict};
use super::hold::Hold;
use super::http;
use super::idle::{IdleClock, Keepalive};
use super::peers::{MAX_FROM_INSTANCE, Peers, TooMany};
use super::refusal::{Refusal, RefusalCounters};
use super::sessions::Sessions;
use crate::balance::{Counters, RequestCounters};
use crate::limit_spell::LimitSpell;

/// State shared by a listener and its connections.
#[derive(Debug)]
pub(super) struct Shared {
    /// Cancelled when the listener stops accepting.
    pub(super) stop: CancellationToken,
    permits: Semaphore,
    /// Maximum number of open connections.
    limit: usize,
    idle: AtomicU64,
    keepalive: Keepalive,
    hold: AtomicU64,
    pub(super) http: http::Settings,
    /// The connections that wait for an endpoint.
    pub(super) held: Arc<Hold>,
    pub(super) counters: Counters,
    pub(super) requests: RequestCounters,
    pub(super) refusals: RefusalCounters,
    pub(super) sessions: Sessions,
    pub(super) peers: Peers,
    /// Open connections of one client address at most; 0 is no limit.
    client_limit: AtomicU32,
    /// The limit of its connections.
    full: LimitSpell,
    /// That of one client.
    client_full: LimitSpell,
    /// That of a client which is an instance's host.
    looping: LimitSpell,
    security_group: RwLock<Option<Arc<SecurityGroup>>>,
}

/// The permit of one connection, given back when it is dropped.
pub(super) struct Permit(Arc<Shared>);

impl Permit {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Deref for Permit {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.permits.add_permits(1);
    }
}

impl Shared {
    pub(super) fn new(
        limits: Limits,
        security_group: Option<Arc<SecurityGroup>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            stop,
            permits: Semaphore::new(limits.connections),
            limit: limits.connections,
            idle: millis(limits.idle).into(),
            keepalive: limits.keepalive,
            hold: millis(limits.hold).into(),
            http: http::Settings::default(),
            held: Arc::default(),
            counters: Counters::default(),
            requests: RequestCounters::default(),
            refusals: RefusalCounters::default(),
            sessions: Sessions::default(),
            peers: Peers::default(),
            client_limit: AtomicU32::new(0),
            full: LimitSpell::new(),
            client_full: LimitSpell::new(),
            looping: LimitSpell::new(),
            security_group: RwLock::new(security_group),
        }
    }

    /// Waits until one more connection of the listener at `local` is within the limit.
    pub(super) async fn permit(self: &Arc<Self>, local: SocketAddr) -> Permit {
        if let Some(permit) = self.try_permit() {
            return permit;
        }
        let limit = self.limit;
        // Otherwise the permits left are those of the other workers, which wait for connections.
        let is_full = usize::try_from(self.counters.active()).is_ok_and(|active| active >= limit);
        if is_full && self.full.reached(Instant::now()) {
            tracing::warn!(
                listener = %local,
                limit,
                "the listener has as many connections as it may: further ones wait until others end"
            );
        }
        // Never closed.
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
        Permit(Arc::clone(self))
    }

    /// A permit, if one more connection is within the limit now.
    pub(super) fn try_permit(self: &Arc<Self>) -> Option<Permit> {
        self.permits.try_acquire().ok()?.forget();
        Some(Permit(Arc::clone(self)))
    }

    /// Idle timeout of new connections; zero is none.
    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle.load(Ordering::Relaxed))
    }

    /// The clock of a connection that begins now.
    pub(super) fn idle_clock(&self) -> IdleClock {
        IdleClock::start(self.idle(), self.keepalive, tokio::time::Instant::now())
    }

    pub(super) fn set_idle(&self, idle: Duration) {
        self.idle.store(millis(idle), Ordering::Relaxed);
    }

    /// Time for which a connection waits for an endpoint.
    pub(super) fn hold(&self) -> Duration {
        Duration::from_millis(self.hold.load(Ordering::Relaxed))
    }

    pub(super) fn set_hold(&self, hold: Duration) {
        self.hold.store(millis(hold), Ordering::Relaxed);
    }

    /// How often the limit of connections was reached.
    pub(super) fn times_full(&self) -> u64 {
        self.full.count()
    }

    /// Limits the open connections of one client address, of new ones; 0 is no limit.
    pub(super) fn set_client_limit(&self, limit: u32) {
        self.client_limit.store(limit, Ordering::Relaxed);
    }

    /// Counts a connection from `client` at the address `local`, unless its client has too many.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn enter(&self, client: IpAddr, local: SocketAddr) -> Result<(), Refusal> {
        // On this machine, clients and instances share an address.
        let is_local = client.is_loopback() || client == local.ip();
        let limit = self.client_limit.load(Ordering::Relaxed);
        match self.peers.enter(client, is_local, limit) {
            Ok(()) => Ok(()),
            Err(TooMany::OfClient) => {
                if self.client_full.reached(Instant::now()) {
                    tracing::warn!(
                        listener = %local,
                        %client,
                        limit,
                        "a client has as many connections as one may: further ones are refused"
                    );
                }
                Err(Refusal::ClientLimit)
            }
            Err(TooMany::OfInstance(instance)) => {
                if self.looping.reached(Instant::now()) {
                    tracing::warn!(
                        listener = %local,
                        source = %client,
                        target = %instance,
                        limit = MAX_FROM_INSTANCE,
                        "connections may go in a circle: an instance's host has many here; further ones are refused"
                    );
                }
                Err(Refusal::Loop)
            }
        }
    }

    pub(super) fn security_group(&self) -> Option<Arc<SecurityGroup>> {
        let group = self.security_group.read();
        group.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_security_group(&self, group: Option<Arc<SecurityGroup>>) {
        *self
            .security_group
            .write()
            .unwrap_or_else(PoisonError::into_inner) = group;
    }

    /// Whether the security group denies a client at a port.
    pub(super) fn denies(&self, client: IpAddr, port: u16) -> bool {
        let group = self.security_group.read().unwrap_or_else(PoisonError::into_inner);
        group
            .as_ref()
            .is_some_and(|group| group.verdict(client, port) == Verdict::Deny)
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
