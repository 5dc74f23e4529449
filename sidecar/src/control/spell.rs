//! When to warn of a condition that lasts: once, after a time.

use std::time::Duration;

use tokio::time::Instant;

/// A condition that is harmless for a while.
#[derive(Debug)]
pub(super) struct Spell {
    warn_after: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The condition does not hold.
    Over,
    /// It holds, and a warning is due then.
    Until(Instant),
    /// It holds, and the warning was given.
    Warned,
}

impl Spell {
    /// A condition that does not hold yet, and that is worth a warning once it has held for this time.
    pub(super) fn new(warn_after: Duration) -> Self {
        Self {
            warn_after,
            state: State::Over,
        }
    }

    /// Notes whether the condition holds at `now`.
    pub(super) fn note(&mut self, holds: bool, now: Instant) {
        self.state = match (holds, self.state) {
            (false, _) => State::Over,
            (true, State::Over) => State::Until(now + self.warn_after),
            (true, lasting) => lasting,
        };
    }

    /// When a warning is due, if one is.
    fn due_at(&self) -> Option<Instant> {
        match self.state {
            State::Until(at) => Some(at),
            State::Over | State::Warned => None,
        }
    }

    /// Notes that the warning was given.
    fn warned(&mut self) {
        self.state = State::Warned;
    }

    /// Waits until the warning is due, which happens once a spell. Cancellation-safe.
    pub(super) async fn overdue(&mut self) {
        match self.due_at() {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
        self.warned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_due_once_a_spell() {
        const AFTER: Duration = Duration::from_secs(10);
        let (mut spell, begin) = (Spell::new(AFTER), Instant::now());
        assert_eq!(spell.due_at(), None);
        spell.note(true, begin);
        spell.note(true, begin + AFTER / 2);
        assert_eq!(spell.due_at(), Some(begin + AFTER), "counted from the first note");
        spell.warned();
        spell.note(true, begin + AFTER * 2);
        assert_eq!(spell.due_at(), None, "it is given once");
        spell.note(false, begin + AFTER * 3);
        assert_eq!(spell.due_at(), None);
        spell.note(true, begin + AFTER * 4);
        assert_eq!(spell.due_at(), Some(begin + AFTER * 5), "another spell");
    }
}
