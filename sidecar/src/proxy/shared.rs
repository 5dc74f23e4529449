//! The state shared by a listener and its connections: limits, permits, counters, open connections, security group.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;

use super::Limits;
use super::access::{SecurityGroup, Verdict};
use super::refusal::RefusalCounters;
use super::sessions::Sessions;
use crate::balance::Counters;

/// State shared by a listener and its connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    permits: Semaphore,
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
            limits,
            permits: Semaphore::new(limits.connections),
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
