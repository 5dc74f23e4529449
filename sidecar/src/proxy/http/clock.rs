//! When a client's connection is parked or ended because nothing happens on it. Pure.
//!
//! The clock looks at intervals instead of noting the time of each byte, which would cost each request.

use std::time::{Duration, Instant};

/// Time for the head of a request to arrive, from its first byte.
const HEAD: Duration = Duration::from_secs(10);

/// Interval of the looks: an idle connection is parked after one to two of it.
const TICK: Duration = Duration::from_secs(1);

/// The shortest interval.
const MIN_TICK: Duration = Duration::from_millis(5);

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct Clock {
    /// Without a limit if it is zero.
    idle: Duration,
    active: Instant,
    /// When a part of a head was first seen.
    head: Option<Instant>,
}

/// What a look at a connection finds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Bytes have moved since the last look.
    pub(super) moved: bool,
    /// It has a request.
    pub(super) busy: bool,
    /// A part of a request's head has arrived.
    pub(super) head: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// It is idle: what it holds can be freed.
    Park,
    /// The head of a request took too long.
    HeadTimeout,
    /// It was idle for too long.
    End,
}

impl Clock {
    /// The clock of a connection that may be idle for a time, or for ever if that is zero.
    pub(super) fn start(idle: Duration, now: Instant) -> Self {
        Self {
            idle,
            active: now,
            head: None,
        }
    }

    /// Time from one look to the next.
    pub(super) fn tick(&self) -> Duration {
        match self.idle {
            Duration::ZERO => TICK,
            idle => TICK.min(idle / 4).max(MIN_TICK),
        }
    }

    /// How long the connection may go on without a byte; `None` for ever.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let end = (!self.idle.is_zero()).then(|| self.active + self.idle)?;
        Some(end.saturating_duration_since(now))
    }

    /// What is due after a look.
    pub(super) fn due(&mut self, look: Look, now: Instant) -> Due {
        if look.moved {
            self.active = now;
        }
        self.head = (look.head && !look.busy).then(|| self.head.unwrap_or(now));
        match self.head {
            Some(since) if now >= since + HEAD => return Due::HeadTimeout,
            _ => {}
        }
        if self.left(now).is_some_and(|left| left.is_zero()) {
            Due::End
        } else if !look.moved && !look.busy && !look.head {
            Due::Park
        } else {
            Due::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Look = Look {
        moved: false,
        busy: false,
        head: false,
    };

    #[test]
    fn an_idle_connection_is_parked_and_a_busy_one_is_not() {
        let now = Instant::now();
        let mut clock = Clock::start(Duration::ZERO, now);
        let busy = Look { busy: true, ..IDLE };
        let moved = Look { moved: true, ..IDLE };
        assert_eq!(clock.due(busy, now + 100 * HEAD), Due::Nothing);
        assert_eq!(clock.due(moved, now + 100 * HEAD), Due::Nothing);
        assert_eq!(clock.due(IDLE, now + 100 * HEAD), Due::Park);
    }

    #[test]
    fn a_head_that_trickles_in_ends_the_connection() {
        let now = Instant::now();
        let mut clock = Clock::start(Duration::ZERO, now);
        let head = Look {
            moved: true,
            head: true,
            ..IDLE
        };
        assert_eq!(clock.due(head, now), Due::Nothing);
        assert_eq!(clock.due(head, now + HEAD / 2), Due::Nothing);
        assert_eq!(clock.due(head, now + HEAD), Due::HeadTimeout);
    }

    #[test]
    fn each_head_has_its_own_time() {
        let now = Instant::now();
        let mut clock = Clock::start(Duration::ZERO, now);
        let head = Look { head: true, ..IDLE };
        assert_eq!(clock.due(head, now), Due::Nothing);
        assert_eq!(
            clock.due(Look { busy: true, ..IDLE }, now + HEAD / 2),
            Due::Nothing
        );
        assert_eq!(clock.due(head, now + HEAD), Due::Nothing);
    }

    #[test]
    fn a_connection_without_a_byte_ends_after_the_idle_timeout_whether_it_is_busy_or_not() {
        let now = Instant::now();
        let limit = Duration::from_secs(3);
        for look in [IDLE, Look { busy: true, ..IDLE }] {
            let mut clock = Clock::start(limit, now);
            assert_eq!(clock.tick(), limit / 4);
            assert_ne!(clock.due(look, now + limit - clock.tick()), Due::End);
            assert_eq!(clock.due(look, now + limit), Due::End);
        }
    }
}
