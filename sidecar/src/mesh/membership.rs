//! Who is there: nodes, their health, their hash, and when they are forgotten. Pure.
//!
//! An endpoint (address and TCP port) belongs to one node at a time. What a node says of itself counts
//! at once; what others say of it only adds nodes, and only where nothing better is known.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::timing::Timing;
use super::wire::{MAX_NODES, Node, NodeState, digest, membership_hash};

/// The most other nodes at one address. A machine may run several, but not make up as many as there is room for.
const MAX_AT_ADDRESS: usize = 64;

/// Whose word it is that a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The node's own.
    Own,
    /// Another node's.
    Hearsay,
}

/// What hearing of a node changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: it is known.
    Known,
    /// It is new, and to be checked.
    Added,
    /// It is new, to be checked, and stands where another stood, which is forgotten.
    Replaced(Node),
    /// Nothing: it is not to be believed, it is ourselves, or there is no room.
    Ignored,
}

/// A known node other than this one.
#[derive(Debug, Clone)]
pub struct Member {
    /// Who it is.
    pub node: Node,
    /// Whether its checks succeed.
    pub up: bool,
    /// Whether they ever did.
    pub was_up: bool,
    /// How many failed in a row.
    pub failures: u32,
    /// When it was first heard of, or went down.
    since: Duration,
    /// It was heard of again soon after it was forgotten: perhaps only a late echo.
    echo: bool,
}

/// The nodes that one node knows.
#[derive(Debug)]
pub struct Membership {
    own: Node,
    members: BTreeMap<SocketAddr, Member>,
    /// This node and all that are up, in the protocol's order.
    healthy: BTreeSet<Node>,
    /// Nodes that are gone, and until when nobody else is believed that they are there.
    tombstones: BTreeMap<Node, Duration>,
    hash: OnceCell<Arc<str>>,
    /// Of the healthy nodes.
    digest: u64,
    /// Of the node that went down last.
    lost: u64,
    forget_unseen: Duration,
    forget_down: Duration,
    tombstone: Duration,
    failures_until_down: u32,
}

impl Membership {
    /// Nobody but the node itself.
    pub fn new(own: Node, timing: &Timing) -> Self {
        Self {
            healthy: BTreeSet::from([own.clone()]),
            digest: digest(&own.text()),
            lost: 0,
            own,
            members: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            hash: OnceCell::new(),
            forget_unseen: timing.forget_unseen,
            forget_down: timing.forget_down,
            tombstone: timing.tombstone,
            failures_until_down: timing.failures_until_down,
        }
    }

    /// The node itself.
    pub fn own(&self) -> &Node {
        &self.own
    }

    /// The node at this endpoint.
    pub fn get(&self, endpoint: SocketAddr) -> Option<&Member> {
        self.members.get(&endpoint)
    }

    /// Every known node but this one.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// This node and all that are up, in the protocol's order.
    pub fn healthy(&self) -> &BTreeSet<Node> {
        &self.healthy
    }

    /// Whether exactly this node is known and up.
    pub fn is_up(&self, node: &Node) -> bool {
        self.healthy.contains(node) && *node != self.own
    }

    /// Whether no other node is up.
    pub fn is_alone(&self) -> bool {
        self.healthy.len() == 1
    }

    /// Whom to forget where there is no room for another node at this address, if anybody: of those that are down,
    /// and at the address if that is what is crowded, the one that is for the longest; those that never were up first.
    pub fn in_the_way(&self, address: IpAddr) -> Option<&Node> {
        let crowded = self.is_crowded(address);
        if !crowded && !self.is_full() {
            return None;
        }
        let down = self
            .members
            .values()
            .filter(|member| !member.up && (!crowded || member.node.address() == address));
        down.min_by_key(|member| (member.was_up, member.since))
            .map(|member| &member.node)
    }

    fn is_full(&self) -> bool {
        self.members.len() + 1 >= MAX_NODES
    }

    fn is_crowded(&self, address: IpAddr) -> bool {
        let ports = SocketAddr::new(address, 0)..=SocketAddr::new(address, u16::MAX);
        self.members.range(ports).count() >= MAX_AT_ADDRESS
    }

    /// The hash that datagrams carry.
    pub fn hash(&self) -> Arc<str> {
        self.hash
            .get_or_init(|| membership_hash(&self.healthy).into())
            .clone()
    }

    /// The sum of the digests of this node and all that are up.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// What [`Self::digest`] would be if the node that went down last had not.
    pub fn digest_before_loss(&self) -> u64 {
        self.digest.wrapping_add(self.lost)
    }

    /// What [`Self::digest`] would be if of these nodes none were up.
    pub fn digest_without(&self, gone: impl Iterator<Item = SocketAddr>) -> u64 {
        let up = gone
            .filter_map(|endpoint| self.members.get(&endpoint))
            .filter(|member| member.up);
        up.fold(self.digest, |sum, member| {
            sum.wrapping_sub(digest(&member.node.text()))
        })
    }

    /// Every known node with its health, this one first: the body of a node exchange.
    pub fn states(&self) -> Vec<NodeState> {
        let own = NodeState {
            node: self.own.clone(),
            healthy: true,
        };
        let others = self.members.values().map(|member| NodeState {
            node: member.node.clone(),
            healthy: member.up,
        });
        std::iter::once(own).chain(others).take(MAX_NODES).collect()
    }

    /// Somebody says that a node is there.
    pub fn hear(&mut self, now: Duration, node: &Node, word: Word) -> Heard {
        let endpoint = node.endpoint();
        if endpoint == self.own.endpoint() {
            return Heard::Ignored;
        }
        let held = self.members.get(&endpoint).map(|member| member.node == *node);
        match (held, word) {
            (Some(true), _) => return Heard::Known,
            // The endpoint's next answer tells who is there.
            (Some(false), Word::Hearsay) => return Heard::Ignored,
            (None, Word::Hearsay) if self.is_buried(now, node) => return Heard::Ignored,
            _ => {}
        }
        let replaced = self.forget(now, endpoint);
        if self.is_full() || self.is_crowded(node.address()) {
            return Heard::Ignored;
        }
        let echo = self.is_buried(now, node);
        self.tombstones.remove(node);
        let member = Member {
            node: node.clone(),
            up: false,
            was_up: false,
            failures: 0,
            since: now,
            echo,
        };
        self.members.insert(endpoint, member);
        replaced.map_or(Heard::Added, Heard::Replaced)
    }

    /// The node at this endpoint proved to be there and to be itself. True where it was not up before.
    pub fn answered(&mut self, endpoint: SocketAddr) -> bool {
        let Some(member) = self.members.get_mut(&endpoint) else {
            return false;
        };
        member.failures = 0;
        if member.up {
            return false;
        }
        (member.up, member.was_up) = (true, true);
        self.digest = self.digest.wrapping_add(digest(&member.node.text()));
        self.healthy.insert(member.node.clone());
        self.hash.take();
        true
    }

    /// A check of the node at this endpoint failed. True where that takes it down.
    pub fn failed(&mut self, now: Duration, endpoint: SocketAddr) -> bool {
        let Some(member) = self.members.get_mut(&endpoint) else {
            return false;
        };
        member.failures = member.failures.saturating_add(1);
        member.up && member.failures >= self.failures_until_down && self.lose(now, endpoint)
    }

    /// The node at this endpoint is down. True where it was up.
    pub fn lose(&mut self, now: Duration, endpoint: SocketAddr) -> bool {
        let held = self.members.get_mut(&endpoint).filter(|member| member.up);
        let Some(member) = held else {
            return false;
        };
        (member.up, member.since) = (false, now);
        let node = member.node.clone();
        self.lost = digest(&node.text());
        self.no_longer_healthy(&node);
        true
    }

    fn no_longer_healthy(&mut self, node: &Node) {
        if self.healthy.remove(node) {
            self.digest = self.digest.wrapping_sub(digest(&node.text()));
            self.hash.take();
        }
    }

    /// Forgets the node at this endpoint, and for a while whatever others say of it.
    pub fn forget(&mut self, now: Duration, endpoint: SocketAddr) -> Option<Node> {
        let member = self.members.remove(&endpoint)?;
        self.no_longer_healthy(&member.node);
        if self.tombstones.len() >= MAX_NODES {
            self.tombstones.retain(|_, until| *until > now);
        }
        if self.tombstones.len() < MAX_NODES {
            self.tombstones.insert(member.node.clone(), now + self.tombstone);
        }
        Some(member.node)
    }

    /// When the node at this endpoint is to be forgotten, if nothing changes.
    pub fn expiry(&self, endpoint: SocketAddr) -> Option<Duration> {
        let member = self.members.get(&endpoint).filter(|member| !member.up)?;
        let patience = if member.was_up {
            self.forget_down
        } else if member.echo && member.failures >= self.failures_until_down {
            Duration::ZERO
        } else {
            self.forget_unseen
        };
        Some(member.since + patience)
    }

    fn is_buried(&self, now: Duration, node: &Node) -> bool {
        self.tombstones.get(node).is_some_and(|until| *until > now)
    }
}
