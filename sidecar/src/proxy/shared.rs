//! The state shared by a listener and its connections: limits, permits, counters, open connections, security group.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Limits;
use super::access::{SecurityGroup, Verdict};
use super::hold::Hold;
use super::refusal::RefusalCounters;
use super::sessions::Sessions;
use crate::balance::Counters;

/// State shared by a listener and its connections.
#[derive(Debug)]
pub(super) struct Shared {
    permits: Semaphore,
    idle: AtomicU64,
    hold: AtomicU64,
    /// The connections that wait for an endpoint.
    pub(super) held: Arc<Hold>,
    pub(super) counters: Counters,
    pub(super) refusals: RefusalCounters,
    pub(super) sessions: Sessions,
    security_group: RwLock<Option<Arc<SecurityGroup>>>,
}

/// The permit of one connection, given back when it is dropped.
pub(super) struct Permit(Arc<Shared>);

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
    pub(super) fn new(limits: Limits, security_group: Option<Arc<SecurityGroup>>) -> Self {
        Self {
            permits: Semaphore::new(limits.connections),
            idle: millis(limits.idle).into(),
            hold: millis(limits.hold).into(),
            held: Arc::default(),
            counters: Counters::default(),
            refusals: RefusalCounters::default(),
            sessions: Sessions::default(),
            security_group: RwLock::new(security_group),
        }
    }

    /// Waits until one more connection is within the limit.
    pub(super) async fn permit(self: &Arc<Self>) -> Permit {
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
