//! Which requests may be sent again, and how many (RFC 9110, section 9.2.2). Pure.

use std::time::{Duration, Instant};

use hyper::Method;

/// Time over which retries are compared with requests.
const WINDOW: Duration = Duration::from_secs(10);

/// One retry for this many requests.
const REQUESTS_EACH: u64 = 5;

/// Retries in any window, however few requests there are: ten a second.
const ALWAYS: u64 = 100;

/// Whether a request that an instance may have acted on can be sent again: doing it twice has the effect of doing it once.
pub(super) fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}

/// Limits a listener's retries, so that they do not multiply the load of instances that fail under it.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// When the window began, and the requests that had come before.
    window: Option<(Instant, u64)>,
    retries: u64,
}

impl Budget {
    /// Takes one retry, if it is within the budget. `requests` is the number of all requests so far.
    pub(super) fn take(&mut self, requests: u64, now: Instant) -> bool {
        let before = match self.window {
            Some((began, before)) if now < began + WINDOW => before,
            _ => {
                self.window = Some((now, requests));
                self.retries = 0;
                requests
            }
        };
        let allowed = ALWAYS + requests.saturating_sub(before) / REQUESTS_EACH;
        let within = self.retries < allowed;
        self.retries += u64::from(within);
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_an_effect_each_time_is_not_sent_again() {
        let may = |method: &str| is_idempotent(&method.parse().expect("a method"));
        assert!(
            ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]
                .into_iter()
                .all(may)
        );
        assert!(!["POST", "PATCH", "CONNECT", "PURGE"].into_iter().any(may));
    }

    #[test]
    fn a_tenth_of_a_second_has_one_retry_however_few_requests_there_are() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let taken = |budget: &mut Budget, now| (0..1000).filter(|_| budget.take(7, now)).count();
        assert_eq!(taken(&mut budget, now), 100);
        assert_eq!(taken(&mut budget, now + WINDOW / 2), 0);
        assert_eq!(taken(&mut budget, now + WINDOW), 100);
    }

    #[test]
    fn a_fifth_of_many_requests_may_be_retried() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        assert!(budget.take(1_000_000, now));
        let taken = (0..10_000).filter(|_| budget.take(1_010_000, now)).count();
        assert_eq!(taken, 100 + 2000 - 1);
    }
}
