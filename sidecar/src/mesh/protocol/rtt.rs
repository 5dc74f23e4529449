//! The RTT estimate: how long exchanges take, and the timeouts that follow from it.
//!
//! On a busy machine on which all nodes ask each other, early timeouts and retries would add to the load.

use std::sync::Arc;
use std::time::Duration;

use super::config::Config;

/// A moving average of the duration of exchanges.
#[derive(Debug)]
pub(super) struct RttEstimate {
    config: Arc<Config>,
    average: Duration,
}

impl RttEstimate {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            average: Duration::ZERO,
        }
    }

    /// This timeout, extended if answers take long.
    pub(super) fn timeout(&self, least: Duration) -> Duration {
        let late = self.average * self.config.rtt_factor;
        least.max(late.min(self.config.rtt_max_timeout))
    }

    /// Whether answers are quick enough for this timeout not to be extended.
    pub(super) fn is_within(&self, timeout: Duration) -> bool {
        self.timeout(timeout) == timeout
    }

    /// Adds the duration of an exchange that was answered.
    pub(super) fn answered(&mut self, took: Duration) {
        let weight = self.config.rtt_weight;
        self.average = (self.average * (weight - 1) + took) / weight;
    }

    /// Notes an exchange that timed out: the next timeouts are twice as long, however many expire in the meantime.
    pub(super) fn timed_out(&mut self, after: Duration) {
        let after = after.min(self.config.rtt_max_timeout);
        self.average = self.average.max(after * 2 / self.config.rtt_factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn quick_answers_leave_timeouts_as_they_are() {
        let mut rtt = RttEstimate::new(Arc::default());
        rtt.answered(ms(100));
        assert_eq!(rtt.timeout(ms(500)), ms(500));
        assert!(rtt.is_within(ms(500)));
    }

    #[test]
    fn a_timeout_doubles_the_next_one_up_to_the_maximum() {
        let mut rtt = RttEstimate::new(Arc::default());
        for expected in [1_000, 2_000, 4_000, 4_000] {
            let timeout = rtt.timeout(ms(500));
            rtt.timed_out(timeout);
            let next = rtt.timeout(ms(500));
            assert!(next.abs_diff(ms(expected)) < ms(1), "{next:?}");
        }
        assert!(!rtt.is_within(ms(500)));
    }

    #[test]
    fn timeouts_shrink_again_with_quick_answers() {
        let mut rtt = RttEstimate::new(Arc::default());
        rtt.timed_out(ms(2_000));
        for _ in 0..20 {
            rtt.answered(ms(10));
        }
        assert!(rtt.is_within(ms(500)));
    }
}
