//! The RTT estimate: how long answers take, and the timeouts that follow from it. Pure.
//!
//! A fixed timeout would take every late answer of a busy machine for a lost one, however many there are; and early
//! retries would add to the load.

use std::time::Duration;

/// The numbers of an estimate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RttTuning {
    /// Weight of the past: a new sample moves the average by 1 / this of the difference.
    pub(crate) weight: u32,
    /// Multiple of the average after which an answer is considered lost.
    pub(crate) factor: u32,
    /// Upper bound of extended timeouts.
    pub(crate) max_timeout: Duration,
}

/// For checks that connect to a server or a program: a full backlog delays a connection by a second or more.
pub(crate) const CHECKS: RttTuning = RttTuning {
    weight: 8,
    factor: 3,
    max_timeout: Duration::from_secs(4),
};

/// A moving average of the time that answers take.
#[derive(Debug)]
pub(crate) struct RttEstimate {
    tuning: RttTuning,
    average: Duration,
}

impl RttEstimate {
    pub(crate) fn new(tuning: RttTuning) -> Self {
        Self {
            tuning,
            average: Duration::ZERO,
        }
    }

    /// This timeout, extended if answers take long.
    pub(crate) fn timeout(&self, least: Duration) -> Duration {
        let late = self.average * self.tuning.factor;
        least.max(late.min(self.tuning.max_timeout))
    }

    /// Whether answers are quick enough for this timeout not to be extended.
    pub(crate) fn is_within(&self, timeout: Duration) -> bool {
        self.timeout(timeout) == timeout
    }

    /// Adds an exchange that took this long and was answered in time, or was not.
    pub(crate) fn ended(&mut self, took: Duration, in_time: bool) {
        if in_time {
            self.answered(took);
        } else {
            self.timed_out(took);
        }
    }

    /// Adds the time that an answer took.
    pub(crate) fn answered(&mut self, took: Duration) {
        let weight = self.tuning.weight;
        self.average = (self.average * (weight - 1) + took) / weight;
    }

    /// Notes a timeout: the next ones are twice as long, however many expire in the meantime.
    pub(crate) fn timed_out(&mut self, after: Duration) {
        let after = after.min(self.tuning.max_timeout);
        self.average = self.average.max(after * 2 / self.tuning.factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUNING: RttTuning = RttTuning {
        weight: 8,
        factor: 3,
        max_timeout: ms(4_000),
    };

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn quick_answers_leave_timeouts_as_they_are() {
        let mut rtt = RttEstimate::new(TUNING);
        rtt.answered(ms(100));
        assert_eq!(rtt.timeout(ms(500)), ms(500));
        assert!(rtt.is_within(ms(500)));
    }

    #[test]
    fn a_timeout_doubles_the_next_one_up_to_the_maximum() {
        let mut rtt = RttEstimate::new(TUNING);
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
        let mut rtt = RttEstimate::new(TUNING);
        rtt.timed_out(ms(2_000));
        for _ in 0..20 {
            rtt.answered(ms(10));
        }
        assert!(rtt.is_within(ms(500)));
    }
}
