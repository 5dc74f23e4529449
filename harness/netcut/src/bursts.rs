//! When packets are lost: time goes by in equal slices, and each is lost or not by chance.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The slices of one direction.
#[derive(Debug)]
pub(crate) struct Bursts {
    chance: f64,
    random: StdRng,
    lost: bool,
}

impl Bursts {
    /// Loses `percent` of all slices; nothing is lost before the first.
    pub(crate) fn new(percent: u8, seed: u64) -> Self {
        Self {
            chance: f64::from(percent.min(100)) / 100.0,
            random: StdRng::seed_from_u64(seed),
            lost: false,
        }
    }

    /// Draws the next slice: whether it is lost, or nothing where it is as the last one was.
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

    /// Which of so many slices are lost.
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
        fn the_share_that_is_lost_is_the_one_that_was_asked_for(percent in 0..=100_u8, seed: u64) {
            let lost = slices(percent, seed, 4000).into_iter().filter(|lost| *lost).count();
            // Six standard deviations of 4000 draws are less than 5 in a hundred.
            prop_assert!((lost as f64 / 40.0 - f64::from(percent)).abs() < 5.0, "{lost} of 4000");
        }

        #[test]
        fn a_change_is_told_only_where_there_is_one(percent in 0..=100_u8, seed: u64) {
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
    fn no_loss_is_none_and_all_is_all() {
        assert!(slices(0, 7, 1000).iter().all(|lost| !lost));
        assert!(slices(100, 7, 1000).iter().all(|lost| *lost));
    }
}
