//! Circuit breaker of a group's last-choice endpoints: after they have failed a request, the next ones fail at once.

use std::time::{Duration, Instant};

/// Attempts of one request at most to connect to last-choice endpoints.
pub const MAX_LAST_CHOICES: usize = 2;

/// Time after the breaker opens in which requests begin that do not try last-choice endpoints.
pub const OPEN_FOR: Duration = Duration::from_secs(1);

/// Open for a while after the last-choice endpoints have failed a request.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    opened: Option<Instant>,
}

impl CircuitBreaker {
    /// Opens it: a request has failed at all last-choice endpoints that it may try.
    pub(super) fn open(&mut self, now: Instant) {
        self.opened = Some(now);
    }

    /// Whether it rejects a request that began at this time. One that began before the breaker opened goes on.
    pub(super) fn rejects(&self, began: Instant) -> bool {
        self.opened
            .is_some_and(|opened| began >= opened && began - opened < OPEN_FOR)
    }
}
