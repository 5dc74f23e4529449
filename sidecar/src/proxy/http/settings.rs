//! A listener's settings for its HTTP requests; they may change while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::proxy::shared::millis;

/// A listener's settings for its HTTP requests. A request takes those of its beginning.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Settings {
    request_timeout: AtomicU64,
    forwarded: AtomicBool,
}

impl Settings {
    /// Sets the time in which a request must be answered; zero is none.
    pub(in crate::proxy) fn set_request_timeout(&self, timeout: Duration) {
        self.request_timeout.store(millis(timeout), Ordering::Relaxed);
    }

    /// Sets whether instances are told the client's address, and the host and scheme that it used.
    pub(in crate::proxy) fn set_forwarded(&self, forwarded: bool) {
        self.forwarded.store(forwarded, Ordering::Relaxed);
    }
}
