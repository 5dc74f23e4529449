//! Connects a client to an instance: picks an endpoint, connects, and on failure ejects it and picks the next candidate.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::attempt::{Established, attempt};
use crate::balance::{FailedLease, Lease, Tried};
use crate::fault::{Fault, Shortage};

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
    pub fault: Fault,
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
    /// No instance is up; any attempts were to connect to last choices.
    NoInstance,
    /// The name could not be resolved.
    Unresolved,
    /// All endpoints tried refused.
    Refused,
    /// At least one endpoint did not answer before the timeout.
    TimedOut,
    /// At least one endpoint is unreachable; the others refused.
    Unreachable,
    /// The client has left while it was held.
    ClientLeft,
    /// For lack of something of ours: no endpoint is to blame.
    Own(Shortage),
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
            Self::ClientLeft => "the client has left",
            Self::Own(_) => "not connected for lack of something of this sidecar or its machine",
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
            write!(f, "{} {}", attempt.address, attempt.fault)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

/// Connects to the first endpoint of `pick` that answers, and sends it as much of the initial data as the socket
/// takes at once. The timeout of an attempt is that of the server's group, the timeout of all attempts [`BUDGET`]; an
/// attempt ends at once if the server goes down during it. A failed endpoint is excluded from this connection's further
/// picks, and ejected unless the fault was ours. A shortage that meets every destination ends the attempts. If last-choice
/// endpoints have failed the client, the next clients do not try those for a while ([`Tried::give_up`]).
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
    let mut tried = Tried::new(began.into_std());
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
            () = lease.down() => Err(Fault::Unreachable),
            outcome = attempt(address, attempt_deadline, initial) => outcome,
        };
        let fault = match outcome {
            Ok(Established { stream, sent }) => {
                lease.established(began.elapsed());
                return Ok(Connected {
                    stream,
                    address,
                    lease: Some(lease),
                    sent,
                });
            }
            Err(fault) => fault,
        };
        attempts.push(Attempt {
            server: lease.server().name().to_owned(),
            address,
            fault,
        });
        let lease = lease.failed(fault);
        if on_failure == OnFailure::GiveUp {
            break;
        }
        lease.eject();
        if matches!(fault, Fault::Own(shortage) if shortage.is_general()) {
            return Err(ConnectError::after(attempts));
        }
        tried.add(&lease);
        failed = Some(lease);
        began = Instant::now();
        if began >= deadline {
            break;
        }
    }
    let no_other = tried.last_choices() == attempts.len();
    tried.give_up(Instant::now().into_std());
    let error = ConnectError::after(attempts);
    let reason = match error.reason {
        own @ Reason::Own(_) => own,
        // They are none that are up.
        _ if no_other => Reason::NoInstance,
        other => other,
    };
    Err(ConnectError { reason, ..error })
}

/// Connects to the first of the addresses that answers. The time left until the deadline is divided evenly among the
/// remaining addresses.
pub(in crate::proxy) async fn connect_direct(
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
            Err(fault) => attempts.push(Attempt {
                server: String::new(),
                address,
                fault,
            }),
        }
    }
    Err(ConnectError::after(attempts))
}

impl ConnectError {
    pub(in crate::proxy) fn of(reason: Reason) -> Self {
        Self {
            reason,
            attempts: Vec::new(),
        }
    }

    fn after(attempts: Vec<Attempt>) -> Self {
        // What says least about the endpoints comes first.
        let worst = attempts.iter().map(|a| a.fault).max_by_key(|fault| match fault {
            Fault::Peer => 0,
            Fault::Unreachable => 1,
            Fault::TimedOut => 2,
            Fault::Own(_) => 3,
        });
        let reason = match worst {
            None => Reason::NoInstance,
            Some(Fault::Peer) => Reason::Refused,
            Some(Fault::Unreachable) => Reason::Unreachable,
            Some(Fault::TimedOut) => Reason::TimedOut,
            Some(Fault::Own(shortage)) => Reason::Own(shortage),
        };
        Self { reason, attempts }
    }
}
