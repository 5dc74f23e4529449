//! What of a container's life decides how it is collected from: pure.

use crate::engine::Action;

/// A container's life so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Life {
    /// How often it was started.
    pub(super) starts: u64,
    /// Whether it runs, and does not stand still.
    pub(super) running: bool,
}

impl Life {
    pub(super) fn change(&mut self, action: &Action) {
        match action {
            Action::Start => {
                self.starts += 1;
                self.running = true;
            }
            Action::Unpause => self.running = true,
            Action::Die { .. } | Action::Pause | Action::Destroy => self.running = false,
            Action::Create | Action::Other(_) => {}
        }
    }

    /// It runs or does not, and how that came was not heard; answers whether this is news.
    pub(super) fn found(&mut self, running: bool) -> bool {
        if self.running == running {
            return false;
        }
        self.starts += u64::from(running);
        self.running = running;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_starts_count_and_what_stands_still_does_not_run() {
        let die = Action::Die { exit_code: Some(0) };
        let steps = [
            (Action::Create, 0, false),
            (Action::Start, 1, true),
            (Action::Pause, 1, false),
            (Action::Unpause, 1, true),
            (Action::Other("kill (signal 15)".to_owned()), 1, true),
            (die, 1, false),
            (Action::Other("stop".to_owned()), 1, false),
            (Action::Start, 2, true),
            (Action::Destroy, 2, false),
        ];
        let mut life = Life::default();
        for (action, starts, running) in steps {
            life.change(&action);
            assert_eq!(life, Life { starts, running }, "{action}");
        }
    }

    #[test]
    fn what_was_not_heard_is_news_once() {
        let mut life = Life::default();
        assert!(!life.found(false));
        assert!(life.found(true) && !life.found(true));
        assert_eq!((life.starts, life.running), (1, true));
        assert!(life.found(false));
        assert_eq!((life.starts, life.running), (1, false));
    }
}
