//! What a signal means for the sidecar: a pure decision over the signals so far.

use std::fmt;

use rustix::process::Signal;

use super::signals::Received;

/// Why the sidecar stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A signal.
    Signal(Signal),
    /// The end of standard input.
    InputEnd,
    /// The end of the process that was started first, whose successor this one is.
    ParentEnd,
}

impl StopReason {
    /// The signal to send to the program.
    #[must_use]
    pub fn signal(self) -> Signal {
        match self {
            Self::Signal(signal) => signal,
            Self::InputEnd | Self::ParentEnd => Signal::TERM,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(Signal::TERM) => f.write_str("SIGTERM"),
            Self::Signal(Signal::INT) => f.write_str("SIGINT"),
            Self::Signal(Signal::QUIT) => f.write_str("SIGQUIT"),
            Self::Signal(Signal::HUP) => f.write_str("SIGHUP"),
            Self::Signal(signal) => write!(f, "signal {}", signal.as_raw()),
            Self::InputEnd => f.write_str("the end of standard input"),
            Self::ParentEnd => f.write_str("the end of its parent process"),
        }
    }
}

/// What to do about a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    Ignore,
    /// Send it to the program, if there is one.
    Forward(Signal),
    /// Stop gracefully: send it to the program as soon as its instances are withdrawn, and start the grace period.
    Stop(StopReason),
    /// Stop at once: kill the program, abort connections.
    Force(StopReason),
    /// Send it to the program; without one, stop if the terminal is gone.
    HangUp,
    /// Send it to the program; without one, let it suspend the sidecar itself.
    Suspend(Signal),
    /// Send it to the program, which gets the terminal if the shell has put the sidecar in the foreground.
    Continue,
}

/// Decides over signals.
#[derive(Debug)]
pub struct Rules {
    /// Signals that were ignored when the sidecar started.
    ignored: Vec<Signal>,
    /// The different stop signals so far.
    stops: Vec<Signal>,
}

impl Rules {
    /// Rules for a sidecar that inherited these signals as ignored.
    #[must_use]
    pub fn new(ignored: Vec<Signal>) -> Self {
        Self {
            ignored,
            stops: Vec::new(),
        }
    }

    /// Decides over the next signal.
    pub fn decide(&mut self, received: Received) -> Reaction {
        let signal = match received {
            Received::InputEnd => return self.stop(StopReason::InputEnd),
            Received::Signal(signal) | Received::Keyboard(signal) => signal,
            Received::HangUp => Signal::HUP,
        };
        let ignored = self.ignored.contains(&signal);
        match signal {
            Signal::HUP if ignored => Reaction::Ignore,
            Signal::HUP => Reaction::HangUp,
            // Programs may handle them nevertheless.
            Signal::TERM | Signal::INT | Signal::QUIT if ignored => Reaction::Forward(signal),
            Signal::TERM | Signal::INT | Signal::QUIT => self.stop(StopReason::Signal(signal)),
            Signal::TSTP => Reaction::Suspend(signal),
            Signal::CONT => Reaction::Continue,
            _ => Reaction::Forward(signal),
        }
    }

    /// Whether there was a stop signal.
    pub fn stopping(&self) -> bool {
        !self.stops.is_empty()
    }

    /// The first stop signal stops, a repeated one changes nothing, and SIGQUIT after another one forces.
    pub fn stop(&mut self, reason: StopReason) -> Reaction {
        let signal = reason.signal();
        if signal == Signal::QUIT && self.stops.iter().any(|s| *s != signal) {
            return Reaction::Force(reason);
        }
        if self.stops.contains(&signal) {
            return Reaction::Ignore;
        }
        self.stops.push(signal);
        match self.stops.len() {
            1 => Reaction::Stop(reason),
            _ => Reaction::Forward(signal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rules: &mut Rules, signal: Signal) -> Reaction {
        rules.decide(Received::Signal(signal))
    }

    #[test]
    fn a_repeated_stop_signal_changes_nothing() {
        for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
            let mut rules = Rules::new(Vec::new());
            let stop = Reaction::Stop(StopReason::Signal(signal));
            assert_eq!(decide(&mut rules, signal), stop);
            assert_eq!(decide(&mut rules, signal), Reaction::Ignore);
            assert_eq!(decide(&mut rules, signal), Reaction::Ignore);
        }
    }

    #[test]
    fn quit_forces_after_another_stop_signal_only() {
        let quit = Reaction::Force(StopReason::Signal(Signal::QUIT));
        for first in [Signal::TERM, Signal::INT] {
            let mut rules = Rules::new(Vec::new());
            decide(&mut rules, first);
            assert_eq!(decide(&mut rules, Signal::QUIT), quit, "after {first:?}");
        }
        let mut rules = Rules::new(Vec::new());
        assert_eq!(
            rules.decide(Received::InputEnd),
            Reaction::Stop(StopReason::InputEnd)
        );
        assert_eq!(decide(&mut rules, Signal::TERM), Reaction::Ignore);
        assert_eq!(decide(&mut rules, Signal::QUIT), quit);
    }

    #[test]
    fn different_stop_signals_are_forwarded() {
        let mut rules = Rules::new(Vec::new());
        decide(&mut rules, Signal::TERM);
        assert_eq!(decide(&mut rules, Signal::INT), Reaction::Forward(Signal::INT));
        assert_eq!(decide(&mut rules, Signal::INT), Reaction::Ignore);
    }

    #[test]
    fn signals_inherited_as_ignored_do_not_stop() {
        let mut rules = Rules::new(vec![Signal::HUP, Signal::INT]);
        assert_eq!(decide(&mut rules, Signal::HUP), Reaction::Ignore);
        assert_eq!(decide(&mut rules, Signal::INT), Reaction::Forward(Signal::INT));
        let stop = Reaction::Stop(StopReason::Signal(Signal::TERM));
        assert_eq!(decide(&mut rules, Signal::TERM), stop);
    }
}
