//! What one request has tried so far.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::circuit_breaker::MAX_LAST_CHOICES;
use super::group::{FailedLease, Kind, ServerGroup};

/// Untested endpoints that a request tries before those of nodes that are down. Higher finds a new instance among more dead
/// addresses; lower delays a request less if only such an endpoint answers.
const MAX_UNTESTED: usize = 2;

/// The attempts of one request to connect, all of which have failed. Allocates nothing while empty.
#[derive(Debug)]
pub struct Tried {
    began: Instant,
    addresses: Vec<SocketAddr>,
    last_choices: usize,
    untested: usize,
    /// The groups whose last-choice endpoints failed, for a fault that was not ours.
    failed_groups: Vec<Arc<ServerGroup>>,
}

impl Tried {
    /// No attempt yet, of a request that begins at this time.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            addresses: Vec::new(),
            last_choices: 0,
            untested: 0,
            failed_groups: Vec::new(),
        }
    }

    /// Leaves the server's address out of this request's further picks.
    pub fn add(&mut self, failed: &FailedLease) {
        self.addresses.push(failed.server.address());
        match failed.kind {
            Kind::Proven => {}
            Kind::Untested => self.untested += 1,
            Kind::LastChoice => {
                self.last_choices += 1;
                if !failed.fault.is_own() {
                    self.failed_groups.push(Arc::clone(&failed.group));
                }
            }
        }
    }

    /// The request has failed. If last-choice endpoints failed it, the next requests do not try those.
    pub fn give_up(self, now: Instant) {
        for group in self.failed_groups {
            group.open_breaker(now);
        }
    }

    /// Whether this is the request's first pick.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Number of attempts to connect to endpoints that were picked as a last choice.
    #[must_use]
    pub fn last_choices(&self) -> usize {
        self.last_choices
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }

    pub(super) fn may_try_last_choice(&self) -> bool {
        self.last_choices < MAX_LAST_CHOICES
    }

    /// Whether it tries untested endpoints before those of nodes that are down.
    pub(super) fn prefers_untested(&self) -> bool {
        self.untested < MAX_UNTESTED
    }
}
