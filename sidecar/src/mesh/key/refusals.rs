//! What was refused because of the key, or the lack of one: counted, and its sender named once.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::envelope::Kind;

/// Addresses named at most, so that forged ones cannot fill the log. Further ones are counted only.
const MAX_NAMED: usize = 64;

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It is sealed, and this node has no key.
    Sealed,
    /// It is not sealed, and this node has a key.
    Plain,
    /// It is sealed, and no key of this node opens it.
    OtherKey,
    /// It is a datagram with an unknown boot number: its sender is asked.
    UnknownBoot,
    /// Its counter was used before, or is too old.
    Replayed,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Sealed,
        Self::Plain,
        Self::OtherKey,
        Self::UnknownBoot,
        Self::Replayed,
    ];

    /// Why a node with a key does not open these bytes.
    #[must_use]
    pub fn of_unopened(bytes: &[u8]) -> Self {
        match Kind::of(bytes) {
            Some(_) => Self::OtherKey,
            None => Self::Plain,
        }
    }

    /// Its name, as a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Plain => "plain",
            Self::OtherKey => "other-key",
            Self::UnknownBoot => "unknown-boot",
            Self::Replayed => "replayed",
        }
    }

    /// What is wrong with the sender; `None` if it may be a member, whose message was lost or repeated on its way.
    fn complaint(self) -> Option<&'static str> {
        match self {
            Self::Sealed => {
                Some("its messages are sealed with a mesh key, and this node has no discovery.key_file")
            }
            Self::Plain => Some("its messages are not sealed, and this node has a mesh key"),
            Self::OtherKey => {
                Some("its messages are sealed with a mesh key that is not in discovery.key_file of this node")
            }
            Self::UnknownBoot | Self::Replayed => None,
        }
    }
}

/// Counts of refused messages, and which senders were named.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: [AtomicU64; Refusal::ALL.len()],
    named: Mutex<HashSet<(IpAddr, Refusal)>>,
}

impl Refusals {
    /// Messages refused for this reason.
    #[must_use]
    pub fn count(&self, why: Refusal) -> u64 {
        Refusal::ALL
            .iter()
            .zip(&self.counts)
            .find(|(reason, _)| **reason == why)
            .map_or(0, |(_, count)| count.load(Ordering::Relaxed))
    }

    /// Counts a message, and warns of its sender if that was not done before.
    pub fn note(&self, from: IpAddr, why: Refusal) {
        if let Some((_, count)) = Refusal::ALL
            .iter()
            .zip(&self.counts)
            .find(|(reason, _)| **reason == why)
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let Some(complaint) = why.complaint() else { return };
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= MAX_NAMED || !named.insert((from.to_canonical(), why)) {
            return;
        }
        let full = named.len() == MAX_NAMED;
        drop(named);
        tracing::warn!(node = %from, why = complaint, "discovery: a node of this network is not a member");
        if full {
            tracing::warn!(
                "discovery: further nodes that are not members for lack of the key are counted only"
            );
        }
    }
}
