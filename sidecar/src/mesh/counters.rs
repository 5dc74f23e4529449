//! Counters of datagrams and exchanges, for the metrics page.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::directory::Cut;
use super::directory::acceptance::Exclusion;
use super::key::Refusals;
use super::protocol::Failure;
use super::wire::{DatagramKind, Dropped, ExchangeKind, Node};

/// Outcome of an exchange that this node made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Answered,
    /// Not answered, see [`Failure`].
    Failed(Failure),
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Answered,
        Self::Failed(Failure::Refused),
        Self::Failed(Failure::Timeout),
        Self::Failed(Failure::Bad),
        Self::Failed(Failure::Own),
        Self::Failed(Failure::Leaving),
    ];

    /// Its name, as a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed(Failure::Refused) => "refused",
            Self::Failed(Failure::Timeout) => "timeout",
            Self::Failed(Failure::Bad) => "bad",
            Self::Failed(Failure::Own) => "own",
            Self::Failed(Failure::Leaving) => "leaving",
        }
    }
}

/// Counts since the start of the node; monotonic.
#[derive(Debug, Default)]
pub struct Counters {
    sent: [AtomicU64; DatagramKind::ALL.len()],
    received: [AtomicU64; DatagramKind::ALL.len()],
    dropped: AtomicU64,
    unsent: AtomicU64,
    made: [[AtomicU64; Outcome::ALL.len()]; ExchangeKind::ALL.len()],
    served: [AtomicU64; ExchangeKind::ALL.len()],
    rejected: AtomicU64,
    unusable: AtomicU64,
    refuted_leaves: AtomicU64,
    excluded: [AtomicU64; Exclusion::ALL.len()],
    cut_weights: AtomicU64,
    cut_instances: AtomicU64,
    evicted_nodes: AtomicU64,
    /// What was refused because of the mesh key.
    pub refusals: Refusals,
}

fn index<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|other| other == one).unwrap_or_default()
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    /// Datagrams sent.
    pub fn sent(&self, kind: DatagramKind) -> u64 {
        read(&self.sent[index(&DatagramKind::ALL, &kind)])
    }

    /// Datagrams received and parsed.
    pub fn received(&self, kind: DatagramKind) -> u64 {
        read(&self.received[index(&DatagramKind::ALL, &kind)])
    }

    /// Datagrams received that were malformed.
    pub fn dropped(&self) -> u64 {
        read(&self.dropped)
    }

    /// Datagrams that the kernel refused to send.
    pub fn unsent(&self) -> u64 {
        read(&self.unsent)
    }

    /// Exchanges that this node made, by outcome.
    pub fn made(&self, kind: ExchangeKind, outcome: Outcome) -> u64 {
        read(&self.made[index(&ExchangeKind::ALL, &kind)][index(&Outcome::ALL, &outcome)])
    }

    /// Requests of other nodes that were answered.
    pub fn served(&self, kind: ExchangeKind) -> u64 {
        read(&self.served[index(&ExchangeKind::ALL, &kind)])
    }

    /// Requests that were rejected: not of the protocol, or malformed.
    pub fn rejected(&self) -> u64 {
        read(&self.rejected)
    }

    /// Nodes and instances in messages of peers that were left out, because they cannot be used.
    pub fn unusable(&self) -> u64 {
        read(&self.unusable)
    }

    /// Datagrams of type `leave` that were not sent by the node in whose name they came, as it answered.
    pub fn refuted_leaves(&self) -> u64 {
        read(&self.refuted_leaves)
    }

    /// Instances in the lists of others that did not count, for this reason.
    pub fn excluded(&self, why: Exclusion) -> u64 {
        read(&self.excluded[index(&Exclusion::ALL, &why)])
    }

    /// Instances in the lists of others with a weight above the maximum.
    pub fn cut_weights(&self) -> u64 {
        read(&self.cut_weights)
    }

    /// Instances of others that were dropped because the directory was full.
    pub fn cut_instances(&self) -> u64 {
        read(&self.cut_instances)
    }

    /// Nodes that were forgotten to make room for one at an address with fewer.
    pub fn evicted_nodes(&self) -> u64 {
        read(&self.evicted_nodes)
    }

    pub(super) fn count_sent(&self, kind: DatagramKind) {
        count(&self.sent[index(&DatagramKind::ALL, &kind)]);
    }

    pub(super) fn count_received(&self, kind: DatagramKind) {
        count(&self.received[index(&DatagramKind::ALL, &kind)]);
    }

    pub(super) fn count_dropped(&self) {
        count(&self.dropped);
    }

    pub(super) fn count_unsent(&self) {
        count(&self.unsent);
    }

    pub(super) fn count_made(&self, kind: ExchangeKind, outcome: Outcome) {
        count(&self.made[index(&ExchangeKind::ALL, &kind)][index(&Outcome::ALL, &outcome)]);
    }

    pub(super) fn count_served(&self, kind: ExchangeKind) {
        count(&self.served[index(&ExchangeKind::ALL, &kind)]);
    }

    pub(super) fn count_rejected(&self) {
        count(&self.rejected);
    }

    /// Counts and logs a `leave` that its node has refuted.
    pub(super) fn note_refuted_leave(&self, node: &Node) {
        count(&self.refuted_leaves);
        tracing::warn!(%node, "discovery: somebody else sent leave in its name; it is still here");
    }

    pub(super) fn count_excluded(&self, why: Exclusion) {
        count(&self.excluded[index(&Exclusion::ALL, &why)]);
    }

    pub(super) fn count_cut_weight(&self) {
        count(&self.cut_weights);
    }

    /// Counts and logs what was dropped because the directory was full.
    pub(super) fn note_cut(&self, Cut { address, services }: Cut) {
        add(&self.cut_instances, services);
        tracing::warn!(
            node = %address,
            instances = services,
            "discovery: too many instances; dropped those beyond the share of the address that offers most"
        );
    }

    /// Counts and logs a node that was forgotten to make room.
    pub(super) fn note_evicted(&self, node: &Node) {
        count(&self.evicted_nodes);
        tracing::warn!(
            node = %node.address(),
            "discovery: too many nodes; forgot one of the address that has most"
        );
    }

    /// Counts and logs what was left out of a peer's message.
    pub(super) fn note_unusable(&self, peer: IpAddr, dropped: &Dropped) {
        if let Some(first) = dropped.first() {
            let count = dropped.count();
            add(&self.unusable, count);
            tracing::warn!(node = %peer, why = first, count, "discovery: left out what cannot be used");
        }
    }
}
