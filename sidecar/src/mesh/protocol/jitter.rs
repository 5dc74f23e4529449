//! Randomness in pauses, so that nodes do not act in step.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

/// This time, shortened or extended by at most that share of it.
pub(super) fn jittered(rng: &mut StdRng, time: Duration, share: f64) -> Duration {
    time.mul_f64(rng.random_range(1.0 - share..1.0 + share))
}

/// A moment of this period, all equally likely.
pub(super) fn within(rng: &mut StdRng, period: Duration) -> Duration {
    period.mul_f64(rng.random_range(0.0..1.0))
}
