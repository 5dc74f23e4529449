//! The part of a container's lifecycle that the collector depends on. Pure.

use crate::engine::Action;

/// A container's number of starts and current state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lifecycle {
    /// Number of starts.
    pub(super) starts: u64,
    /// Whether it is running and not paused.
    pub(super) running: bool,
}

impl Lifecycle {
    /// Applies an event of the engine.
    pub(super) fn apply(&mut self, action: &Action) {
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

    /// Applies a state found by listing, for which no event was received. Returns whether it changed.
    pub(super) fn observe(&mut self, running: bool) -> bool {
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
    fn starts_are_counted_and_a_paused_container_is_not_running() {
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
        let mut lifecycle = Lifecycle::default();
        for (action, starts, running) in steps {
            lifecycle.apply(&action);
            assert_eq!(lifecycle, Lifecycle { starts, running }, "{action}");
        }
    }

    #[test]
    fn an_observed_state_is_a_change_once() {
        let mut lifecycle = Lifecycle::default();
        assert!(!lifecycle.observe(false));
        assert!(lifecycle.observe(true) && !lifecycle.observe(true));
        assert_eq!((lifecycle.starts, lifecycle.running), (1, true));
        assert!(lifecycle.observe(false));
        assert_eq!((lifecycle.starts, lifecycle.running), (1, false));
    }
}
