//! Local health, as in Lifeguard: how late this process' own timers are. Pure.
//!
//! On a machine with too little processor time a process is late to send, to read and to see that a timeout has passed. Its
//! timeouts grow by that, so that it does not take its own delay for the silence of others.

use std::time::Duration;

use crate::rtt::RttTuning;

/// The recent delay of this process' timers.
#[derive(Debug)]
pub(crate) struct LocalHealth {
    tuning: RttTuning,
    delay: Duration,
}

impl LocalHealth {
    pub(crate) fn new(tuning: RttTuning) -> Self {
        Self {
            tuning,
            delay: Duration::ZERO,
        }
    }

    /// Notes a timer that fired this late. A longer delay counts at once, a shorter one little by little.
    pub(crate) fn fired(&mut self, late: Duration) {
        let decayed = self.delay * (self.tuning.weight - 1) / self.tuning.weight;
        self.delay = decayed.max(late);
    }

    /// What to add to a timeout.
    pub(crate) fn slack(&self) -> Duration {
        self.delay
            .saturating_mul(self.tuning.factor)
            .min(self.tuning.max_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn local_health() -> LocalHealth {
        LocalHealth::new(RttTuning {
            weight: 8,
            factor: 3,
            max_timeout: ms(4_000),
        })
    }

    #[test]
    fn timers_that_are_in_time_add_nothing() {
        let mut health = local_health();
        health.fired(Duration::ZERO);
        assert_eq!(health.slack(), Duration::ZERO);
    }

    #[test]
    fn a_late_timer_counts_at_once_is_bounded_and_is_forgotten_little_by_little() {
        let mut health = local_health();
        health.fired(ms(400));
        assert_eq!(health.slack(), ms(1_200));
        health.fired(Duration::MAX / 8);
        assert_eq!(health.slack(), ms(4_000));
        let mut health = local_health();
        health.fired(ms(400));
        health.fired(Duration::ZERO);
        assert_eq!(health.slack(), ms(1_050));
        for _ in 0..40 {
            health.fired(Duration::ZERO);
        }
        assert!(health.slack() < ms(10));
    }
}
