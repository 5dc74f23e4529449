//! When a connection has been idle for too long, and when the kernel begins to ask its ends for a sign of life. Pure.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Age at which keepalive is switched on for both ends of a connection. Shorter connections do not pay for the system calls.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);

/// Time without a packet after which the kernel asks an end for a sign of life.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Time from one such question to the next.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Questions without an answer after which the connection has failed: a minute after the last sign of life.
const KEEPALIVE_RETRIES: u32 = 3;

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct IdleClock {
    /// Without a limit if it is zero.
    limit: Duration,
    last: Instant,
    keepalive_at: Option<Instant>,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before this time, if ever.
    Later(Option<Instant>),
    /// Keepalive.
    Keepalive,
    /// The end of the connection.
    End,
}

impl IdleClock {
    /// The clock of a connection that begins now; it may be idle for a time, or for ever if that is zero.
    pub(super) fn start(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            last: now,
            keepalive_at: Some(now + KEEPALIVE_AFTER),
        }
    }

    /// Records that bytes have moved.
    pub(super) fn moved(&mut self, now: Instant) {
        self.last = now;
    }

    /// When anything is due for the first time.
    pub(super) fn first(&mut self) -> Option<Instant> {
        match self.due(self.last) {
            Due::Later(at) => at,
            Due::Keepalive | Due::End => None,
        }
    }

    /// What is due. Keepalive is due once.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        let end = (!self.limit.is_zero()).then(|| self.last + self.limit);
        if end.is_some_and(|end| end <= now) {
            return Due::End;
        }
        match self.keepalive_at {
            Some(at) if at <= now => {
                self.keepalive_at = None;
                Due::Keepalive
            }
            Some(at) => Due::Later(Some(end.map_or(at, |end| end.min(at)))),
            None => Due::Later(end),
        }
    }
}

/// Has the kernel ask the other end for a sign of life while a connection is idle.
pub(super) fn keep_alive(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    // On failure the connection has ended.
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_limit_is_never_ended() {
        let begin = Instant::now();
        let mut clock = IdleClock::start(Duration::ZERO, begin);
        let keepalive = begin + KEEPALIVE_AFTER;
        assert_eq!(clock.due(begin), Due::Later(Some(keepalive)));
        assert_eq!(clock.due(keepalive), Due::Keepalive);
        assert_eq!(
            clock.due(begin + Duration::from_secs(1_000_000)),
            Due::Later(None)
        );
    }

    #[test]
    fn a_connection_ends_after_its_limit_without_bytes() {
        let begin = Instant::now();
        let limit = KEEPALIVE_AFTER * 4;
        let mut clock = IdleClock::start(limit, begin);
        assert_eq!(clock.due(begin + KEEPALIVE_AFTER), Due::Keepalive);
        clock.moved(begin + limit / 2);
        let end = begin + limit / 2 + limit;
        assert_eq!(clock.due(begin + limit), Due::Later(Some(end)));
        assert_eq!(clock.due(end), Due::End);
        assert_eq!(
            IdleClock::start(KEEPALIVE_AFTER / 2, begin).due(begin + KEEPALIVE_AFTER),
            Due::End
        );
    }
}
