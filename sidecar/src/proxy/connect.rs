//! Takes a client's connection to an instance: the one picked, or the next where that one does not answer.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::attempt::{Established, attempt};
pub use crate::balance::Failure;
use crate::balance::{FailedLease, Lease, Tried};

/// How long all attempts for one client may take together.
pub const BUDGET: Duration = Duration::from_secs(4);

/// What a client's connection does after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Ejects the endpoint and tries the next candidate.
    #[default]
    TryNext,
    /// Gives up, and leaves the endpoint as it is.
    GiveUp,
}

/// A connection to an instance.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub stream: TcpStream,
    /// Where it goes.
    pub address: SocketAddr,
    /// The claim on the server; none where the destination is no backend.
    pub lease: Option<Lease>,
    /// How many of the first bytes have been sent to it.
    pub sent: usize,
}

/// One attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The server's name; empty where the destination is no backend.
    pub server: String,
    /// Where to.
    pub address: SocketAddr,
    /// Why it failed.
    pub failure: Failure,
}

/// Why a client's connection could not be taken anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// The reason in a word.
    pub reason: Reason,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
}

/// Why all attempts together failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No instance is up.
    NoInstance,
    /// The name could not be resolved.
    Unresolved,
    /// Everyone tried refused.
    Refused,
    /// At least one did not answer in time.
    TimedOut,
    /// There is no way to at least one; the others refused.
    Unreachable,
    /// We have no descriptor, memory or port left.
    OutOfRoom,
}

impl Reason {
    /// The word for it in logs.
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

/// Connects to the first server that `pick` names and that answers, and sends it as many of the first bytes as it
/// takes at once. Each attempt may take as long as the
/// server's group allows, all together as long as [`BUDGET`]; one to a server that is lost meanwhile is given up
/// at once. A server that failed is told so.
///
/// # Errors
/// When no server that `pick` named could be connected to, or it named none.
pub async fn connect(
    mut pick: impl FnMut(&Tried) -> Option<Lease>,
    first: &[u8],
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
        let patience = deadline.min(began + lease.connect_timeout());
        let outcome = tokio::select! {
            biased;
            () = lease.down() => Err(Failure::Unreachable),
            outcome = attempt(address, patience, first) => outcome,
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

/// Connects to the first of the addresses that answers; each may take its share of what is left until the
/// deadline.
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
