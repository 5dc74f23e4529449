//! Connects a client to an instance: picks an endpoint, connects, and on failure ejects it and picks the next candidate.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::attempt::{Established, attempt};
pub use crate::balance::Failure;
use crate::balance::{FailedLease, Lease, Tried};

/// Timeout for all attempts of one client's connection together.
pub const BUDGET: Duration = Duration::from_secs(4);

/// The reaction to a failed attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Ejects the endpoint and tries the next candidate.
    #[default]
    TryNext,
    /// Gives up, and does not eject the endpoint.
    GiveUp,
}

/// A connection to an instance.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub stream: TcpStream,
    /// The instance's address.
    pub address: SocketAddr,
    /// The lease of the server; `None` if the destination is not a backend.
    pub lease: Option<Lease>,
    /// Bytes of the initial data that were sent.
    pub sent: usize,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The server's name; empty if the destination is not a backend.
    pub server: String,
    /// The address tried.
    pub address: SocketAddr,
    /// Why it failed.
    pub failure: Failure,
}

/// Why a client could not be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// The overall reason.
    pub reason: Reason,
    /// The failed attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// Why all attempts together failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No instance is up.
    NoInstance,
    /// The name could not be resolved.
    Unresolved,
    /// All endpoints tried refused.
    Refused,
    /// At least one endpoint did not answer before the timeout.
    TimedOut,
    /// At least one endpoint is unreachable; the others refused.
    Unreachable,
    /// This process or the system has no descriptor, memory or local port left.
    OutOfRoom,
}

impl Reason {
    /// The text for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoInstance => "no instance is up",
            Self::Unresolved => "the name could not be resolved",
            Self::Refused => "refused",
            Self::TimedOut => "timed out",
            Self::Unreachable => "unreachable",
            Self::OutOfRoom => "out of descriptors, memory or ports",
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.as_str())?;
        for (index, attempt) in self.attempts.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            if !attempt.server.is_empty() {
                write!(f, "{} at ", attempt.server)?;
            }
            write!(f, "{} {}", attempt.address, attempt.failure)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

/// Connects to the first endpoint of `pick` that answers, and sends it as much of the initial data as the socket
/// takes at once. The timeout of an attempt is that of the server's group, the timeout of all attempts [`BUDGET`]; an
/// attempt ends at once if the server goes down during it. A failed endpoint is ejected, and excluded from this
/// connection's further picks.
///
/// # Errors
/// When no endpoint could be connected to, or there is no candidate.
pub async fn connect(
    mut pick: impl FnMut(&Tried) -> Option<Lease>,
    initial: &[u8],
    on_failure: OnFailure,
) -> Result<Connected, ConnectError> {
    let mut began = Instant::now();
    let deadline = began + BUDGET;
    let mut tried = Tried::new();
    let mut attempts = Vec::new();
    let mut failed: Option<FailedLease> = None;
    while let Some(lease) = pick(&tried) {
        if let Some(failed) = failed.take() {
            failed.failed_over();
        }
        let address = lease.address();
        let attempt_deadline = deadline.min(began + lease.connect_timeout());
        let outcome = tokio::select! {
            biased;
            () = lease.down() => Err(Failure::Unreachable),
            outcome = attempt(address, attempt_deadline, initial) => outcome,
        };
        let failure = match outcome {
            Ok(Established { stream, sent }) => {
                lease.established(began.elapsed());
                return Ok(Connected {
                    stream,
                    address,
                    lease: Some(lease),
                    sent,
                });
            }
            Err(failure) => failure,
        };
        attempts.push(Attempt {
            server: lease.server().name().to_owned(),
            address,
            failure,
        });
        let lease = lease.failed(failure);
        if on_failure == OnFailure::GiveUp {
            break;
        }
        lease.eject();
        if failure == Failure::OutOfRoom {
            break;
        }
        failed = Some(lease);
        tried.add(address);
        began = Instant::now();
        if began >= deadline {
            break;
        }
    }
    Err(ConnectError::after(attempts))
}

/// Connects to the first of the addresses that answers. The time left until the deadline is divided evenly among the
/// remaining addresses.
pub(super) async fn connect_direct(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<Connected, ConnectError> {
    let mut attempts = Vec::new();
    for (left, address) in (1..=addresses.len() as u32).rev().zip(addresses.iter().copied()) {
        let now = Instant::now();
        let share = now + deadline.saturating_duration_since(now) / left;
        match attempt(address, share, &[]).await {
            Ok(Established { stream, sent }) => {
                return Ok(Connected {
                    stream,
                    address,
                    lease: None,
                    sent,
                });
            }
            Err(failure) => attempts.push(Attempt {
                server: String::new(),
                address,
                failure,
            }),
        }
    }
    Err(ConnectError::after(attempts))
}

impl ConnectError {
    pub(super) fn of(reason: Reason) -> Self {
        Self {
            reason,
            attempts: Vec::new(),
        }
    }

    fn after(attempts: Vec<Attempt>) -> Self {
        let any = |failure| attempts.iter().any(|a| a.failure == failure);
        let reason = if attempts.is_empty() {
            Reason::NoInstance
        } else if any(Failure::OutOfRoom) {
            Reason::OutOfRoom
        } else if any(Failure::TimedOut) {
            Reason::TimedOut
        } else if any(Failure::Unreachable) {
            Reason::Unreachable
        } else {
            Reason::Refused
        };
        Self { reason, attempts }
    }
}
