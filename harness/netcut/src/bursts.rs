//! Bursts of loss: time is divided into equal slices, and all packets of a slice are lost with a given probability.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The slices of one destination.
#[derive(Debug)]
pub(crate) struct Bursts {
    chance: f64,
    random: StdRng,
    lost: bool,
}

impl Bursts {
    /// Bursts that lose `percent` of all slices. Nothing is lost before the first slice.
    pub(crate) fn new(percent: u8, seed: u64) -> Self {
        Self {
            chance: f64::from(percent.min(100)) / 100.0,
            random: StdRng::seed_from_u64(seed),
            lost: false,
        }
    }

    /// Draws the next slice: whether it is lost; `None` if it is the same as the previous one.
    pub(crate) fn next_slice(&mut self) -> Option<bool> {
        let lost = self.random.random_bool(self.chance);
        let changes = lost != self.lost;
        self.lost = lost;
        changes.then_some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Draws `count` slices: whether each is lost.
    fn slices(percent: u8, seed: u64, count: usize) -> Vec<bool> {
        let mut bursts = Bursts::new(percent, seed);
        let mut lost = false;
        let draw = |_| {
            lost = bursts.next_slice().unwrap_or(lost);
            lost
        };
        (0..count).map(draw).collect()
    }

    proptest! {
        #[test]
        fn the_given_percentage_of_slices_is_lost(percent in 0..=100_u8, seed: u64) {
            let lost = slices(percent, seed, 4000).into_iter().filter(|lost| *lost).count();
            // Six standard deviations of 4000 draws are less than 5 percentage points.
            prop_assert!((lost as f64 / 40.0 - f64::from(percent)).abs() < 5.0, "{lost} of 4000");
        }

        #[test]
        fn only_changes_are_returned(percent in 0..=100_u8, seed: u64) {
            let mut bursts = Bursts::new(percent, seed);
            let mut last = false;
            for _ in 0..200 {
                if let Some(lost) = bursts.next_slice() {
                    prop_assert_ne!(lost, last);
                    last = lost;
                }
            }
        }
    }

    #[test]
    fn zero_percent_loses_no_slice_and_100_percent_loses_every_slice() {
        assert!(slices(0, 7, 1000).iter().all(|lost| !lost));
        assert!(slices(100, 7, 1000).iter().all(|lost| *lost));
    }
}
