//! Spells of repeated warnings: the first of a spell is logged, the others are counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::Level;

/// Time without a repetition after which a spell ends. Lower gives more lines about a warning that comes back now and
/// then; higher reports its count later.
const QUIET: Duration = Duration::from_secs(5);
/// Longest spell, so that a lasting problem shows itself in the log again.
const LONGEST: Duration = Duration::from_secs(60);
/// Maximum number of concurrent spells. Further warnings share one for each part of the program.
const MAX_SPELLS: usize = 1024;
/// The text of warnings that share a spell.
const FURTHER: &str = "further warnings";

/// What is logged repeatedly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Warning {
    /// WARN or ERROR.
    pub(super) level: Level,
    /// The part of the program that it comes from.
    pub(super) target: &'static str,
    /// The message, and what it is about.
    pub(super) text: String,
}

/// A spell that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) warning: Warning,
    /// Number of repetitions, all after the logged first one.
    pub(super) repeated: u64,
    /// From the first to the last of them.
    pub(super) lasted: Duration,
}

#[derive(Debug)]
struct Spell {
    began: Instant,
    last: Instant,
    repeated: u64,
}

impl Spell {
    fn end(&self) -> Instant {
        (self.last + QUIET).min(self.began + LONGEST)
    }
}

/// The spells in progress.
#[derive(Debug)]
pub(super) struct Repeats {
    spells: BTreeMap<Warning, Spell>,
}

impl Repeats {
    pub(super) const fn new() -> Self {
        Self {
            spells: BTreeMap::new(),
        }
    }

    /// Notes a warning. Returns whether it begins a spell and is therefore logged.
    pub(super) fn occurred(&mut self, mut warning: Warning, now: Instant) -> bool {
        if self.spells.len() >= MAX_SPELLS && !self.spells.contains_key(&warning) {
            FURTHER.clone_into(&mut warning.text);
        }
        if let Some(spell) = self.spells.get_mut(&warning) {
            spell.last = now;
            spell.repeated += 1;
            return false;
        }
        let (began, last) = (now, now);
        self.spells.insert(
            warning,
            Spell {
                began,
                last,
                repeated: 0,
            },
        );
        true
    }

    /// When the next spell ends, if nothing is repeated until then.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.spells.values().map(Spell::end).min()
    }

    /// Removes the spells that have ended; returns those with repetitions.
    pub(super) fn ended(&mut self, now: Instant) -> Vec<Ended> {
        self.remove(|spell| spell.end() <= now)
    }

    /// Ends all spells; returns those with repetitions.
    pub(super) fn end_all(&mut self) -> Vec<Ended> {
        self.remove(|_| true)
    }

    fn remove(&mut self, ends: impl Fn(&Spell) -> bool) -> Vec<Ended> {
        self.spells
            .extract_if(.., |_, spell| ends(spell))
            .filter(|(_, spell)| spell.repeated > 0)
            .map(|(warning, spell)| Ended {
                warning,
                repeated: spell.repeated,
                lasted: spell.last - spell.began,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn warning(text: &str) -> Warning {
        Warning {
            level: Level::WARN,
            target: "sidecar::test",
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_spell_is_one_line_at_once_and_a_count_at_its_end() {
        let (mut repeats, begin) = (Repeats::new(), Instant::now());
        assert!(repeats.occurred(warning("a"), begin));
        let last = begin + Duration::from_secs(2);
        assert!(!repeats.occurred(warning("a"), begin + Duration::from_secs(1)));
        assert!(!repeats.occurred(warning("a"), last));
        assert!(
            repeats.occurred(warning("b"), last),
            "another one has its own spell"
        );
        let end = last + QUIET;
        assert_eq!(repeats.next_end(), Some(end));
        assert_eq!(repeats.ended(end - Duration::from_millis(1)), []);
        let ended = Ended {
            warning: warning("a"),
            repeated: 2,
            lasted: Duration::from_secs(2),
        };
        assert_eq!(repeats.ended(end), [ended], "what was not repeated has no count");
        assert_eq!(repeats.next_end(), None);
        assert!(repeats.occurred(warning("a"), end));
    }

    #[test]
    fn a_lasting_spell_is_reported_once_a_minute() {
        let (mut repeats, begin) = (Repeats::new(), Instant::now());
        let (mut logged, mut counts) = (0, Vec::new());
        for second in 0..200 {
            let now = begin + Duration::from_secs(second);
            counts.extend(repeats.ended(now).into_iter().map(|ended| ended.repeated));
            logged += u64::from(repeats.occurred(warning("a"), now));
        }
        assert_eq!((logged, counts), (4, vec![59, 59, 59]));
    }

    #[test]
    fn the_number_of_spells_is_bounded() {
        let (mut repeats, now) = (Repeats::new(), Instant::now());
        let logged = (0..3 * MAX_SPELLS).filter(|n| repeats.occurred(warning(&n.to_string()), now));
        assert_eq!(logged.count(), MAX_SPELLS + 1);
        let further = Ended {
            warning: warning(FURTHER),
            repeated: u64::try_from(2 * MAX_SPELLS - 1).unwrap(),
            lasted: Duration::ZERO,
        };
        assert_eq!(repeats.end_all(), [further]);
    }

    proptest! {
        /// A step is a warning out of three, some milliseconds after the one before.
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec((0..3_u8, 0..20_000_u64), 0..100)) {
            let (mut repeats, mut now) = (Repeats::new(), Instant::now());
            let (mut logged, mut repeated) = (0, 0);
            for (which, wait) in &steps {
                now += Duration::from_millis(*wait);
                repeated += repeats.ended(now).iter().map(|ended| ended.repeated).sum::<u64>();
                logged += u64::from(repeats.occurred(warning(&which.to_string()), now));
            }
            repeated += repeats.end_all().iter().map(|ended| ended.repeated).sum::<u64>();
            prop_assert_eq!(logged + repeated, steps.len() as u64);
        }
    }
}
