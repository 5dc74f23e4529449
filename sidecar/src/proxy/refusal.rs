//! Refused connections of a listener, counted by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use super::connect::Reason;

/// Why a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The security group denies its client.
    Denied,
    /// Its client has as many connections as the listener allows one.
    ClientLimit,
    /// Its client has many connections, and is an instance's host: they may lead back here.
    Loop,
    /// SOCKS5: the handshake violated the protocol, requested something unsupported, or was not finished.
    Handshake,
    /// SOCKS5: the handshake exceeded its timeout.
    HandshakeTimeout,
    /// SOCKS5: the destination is not a backend.
    NotAllowed,
    /// No instance is up.
    NoInstance,
    /// The destination's name could not be resolved.
    Unresolved,
    /// All endpoints tried refused.
    Refused,
    /// At least one endpoint did not answer before the timeout.
    TimedOut,
    /// At least one endpoint is unreachable; the others refused.
    Unreachable,
    /// For lack of something of this sidecar or its machine, for instance descriptors or local ports.
    OutOfRoom,
    /// It was aborted before it was connected.
    Aborted,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Denied,
        Self::ClientLimit,
        Self::Loop,
        Self::Handshake,
        Self::HandshakeTimeout,
        Self::NotAllowed,
        Self::NoInstance,
        Self::Unresolved,
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::OutOfRoom,
        Self::Aborted,
    ];

    /// The value of the `reason` label in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::ClientLimit => "client_limit",
            Self::Loop => "loop",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::NotAllowed => "not_allowed",
            Self::NoInstance => "no_instance",
            Self::Unresolved => "unresolved",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::OutOfRoom => "out_of_room",
            Self::Aborted => "cut",
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NoInstance => Self::NoInstance,
            Reason::Unresolved => Self::Unresolved,
            Reason::Refused => Self::Refused,
            Reason::TimedOut => Self::TimedOut,
            Reason::Unreachable => Self::Unreachable,
            Reason::ClientLeft => Self::Aborted,
            Reason::Own(_) => Self::OutOfRoom,
        }
    }
}

/// A snapshot of refused connections by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals([u64; Refusal::ALL.len()]);

impl Refusals {
    /// Connections refused for this reason.
    #[must_use]
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.0)
    }
}

/// Collects [`Refusals`].
#[derive(Debug, Default)]
pub(super) struct RefusalCounters([AtomicU64; Refusal::ALL.len()]);

impl RefusalCounters {
    pub(super) fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Refusals {
        Refusals(self.0.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }
}
