//! What a listener's HTTP requests share: settings, which may change while it runs, and the budget of retries.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::retry::Budget;

use crate::proxy::shared::millis;

/// A listener's settings for its HTTP requests. A request takes those of its beginning.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Settings {
    request_timeout: AtomicU64,
    forwarded: AtomicBool,
    requests: AtomicU64,
    retries: Mutex<Budget>,
}

impl Settings {
    /// Sets the time in which a request must be answered; zero is none.
    pub(in crate::proxy) fn set_request_timeout(&self, timeout: Duration) {
        self.request_timeout.store(millis(timeout), Ordering::Relaxed);
    }

    /// Time in which a request must be answered; zero is none.
    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout.load(Ordering::Relaxed))
    }

    /// Whether instances are told the client's address.
    pub(super) fn forwarded(&self) -> bool {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// Counts a request.
    pub(super) fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a retry from the budget.
    pub(super) fn take_retry(&self, now: Instant) -> bool {
        let requests = self.requests.load(Ordering::Relaxed);
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        retries.take(requests, now)
    }

    /// Sets whether instances are told the client's address, and the host and scheme that it used.
    pub(in crate::proxy) fn set_forwarded(&self, forwarded: bool) {
        self.forwarded.store(forwarded, Ordering::Relaxed);
    }
}
