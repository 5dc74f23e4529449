//! When a connection has been idle for too long, and when the kernel begins to ask its ends for a sign of life. Pure.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// When the kernel asks the ends of a connection for a sign of life. One that answers none of [`RETRIES`] questions has
/// vanished, and its connection has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Age at which it is switched on for both ends of a connection. Shorter connections do not pay for the system calls.
    pub after: Duration,
    /// Time without a packet after which an end is asked, in whole seconds.
    pub idle: Duration,
    /// Time from one question to the next, in whole seconds.
    pub interval: Duration,
}

/// Questions without an answer after which the connection has failed.
const RETRIES: u32 = 3;

impl Default for Keepalive {
    /// An end that vanishes is noticed a minute after its last packet.
    fn default() -> Self {
        Self {
            after: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(10),
        }
    }
}

impl Keepalive {
    /// Has the kernel ask the other end.
    pub(super) fn enable(self, stream: &TcpStream) {
        let keepalive = TcpKeepalive::new()
            .with_time(self.idle)
            .with_interval(self.interval)
            .with_retries(RETRIES);
        // On failure the connection has ended.
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
}

/// The clock of one connection.
#[derive(Debug)]
pub struct IdleClock {
    /// Without a limit if it is zero.
    limit: Duration,
    last: Instant,
    keepalive: Keepalive,
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
    pub fn start(limit: Duration, keepalive: Keepalive, now: Instant) -> Self {
        Self {
            limit,
            last: now,
            keepalive,
            keepalive_at: Some(now + keepalive.after),
        }
    }

    /// Switches keepalive on for an end of the connection.
    pub(super) fn keep_alive(&self, stream: &TcpStream) {
        self.keepalive.enable(stream);
    }

    /// Records that bytes have moved.
    pub(super) fn moved(&mut self, now: Instant) {
        self.last = now;
    }

    /// When anything is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.end().into_iter().chain(self.keepalive_at).min()
    }

    /// What is due. Keepalive is due once.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        if self.end().is_some_and(|end| end <= now) {
            return Due::End;
        }
        match self.keepalive_at.take_if(|at| *at <= now) {
            Some(_) => Due::Keepalive,
            None => Due::Later(self.next()),
        }
    }

    fn end(&self) -> Option<Instant> {
        (!self.limit.is_zero()).then(|| self.last + self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEPALIVE: Keepalive = Keepalive {
        after: Duration::from_secs(15),
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(10),
    };

    #[test]
    fn a_connection_without_a_limit_is_never_ended() {
        let begin = Instant::now();
        let mut clock = IdleClock::start(Duration::ZERO, KEEPALIVE, begin);
        let keepalive = begin + KEEPALIVE.after;
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
        let limit = KEEPALIVE.after * 4;
        let mut clock = IdleClock::start(limit, KEEPALIVE, begin);
        assert_eq!(clock.due(begin + KEEPALIVE.after), Due::Keepalive);
        clock.moved(begin + limit / 2);
        let end = begin + limit / 2 + limit;
        assert_eq!(clock.due(begin + limit), Due::Later(Some(end)));
        assert_eq!(clock.due(end), Due::End);
        assert_eq!(
            IdleClock::start(KEEPALIVE.after / 2, KEEPALIVE, begin).due(begin + KEEPALIVE.after),
            Due::End
        );
    }
}
