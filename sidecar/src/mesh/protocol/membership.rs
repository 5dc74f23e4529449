//! The set of peers, its hash and digest, tombstones, and when peers are forgotten. Pure.
//!
//! An endpoint (address and TCP port) belongs to one node at a time. What a node says about itself counts at once.
//! What others say about it only adds it, and only if nothing better is known. [`super::peer`] decides whether a peer
//! is up.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::peer::{Peer, PeerEvent, Source, Transition};
use super::timers::Timers;
use crate::mesh::wire::{MAX_NODES, Node, NodeState, digest, membership_hash};

/// The effect of hearing of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// None: it is known.
    Known,
    /// It is new, and needs a check.
    Added,
    /// It is new, needs a check, and replaces another node at its endpoint, which is forgotten.
    Replaced(Node),
    /// None: it is not believed, it is this node, or there is no room.
    Ignored,
}

/// The nodes known to one node.
#[derive(Debug)]
pub struct Membership {
    own: Node,
    peers: BTreeMap<SocketAddr, Peer>,
    /// This node and all peers that are up, in the protocol's order.
    healthy: BTreeSet<Node>,
    /// Forgotten nodes, and until when relayed news of them is ignored.
    tombstones: BTreeMap<Node, Duration>,
    /// When peers that are not up are forgotten.
    expiry: Timers<SocketAddr>,
    hash: OnceCell<Arc<str>>,
    /// Sum of the digests of the healthy nodes.
    digest: u64,
    /// Digest of the node that went down last.
    last_down: u64,
    config: Arc<Config>,
}

impl Membership {
    /// A membership of this node alone.
    pub fn new(own: Node, config: Arc<Config>) -> Self {
        Self {
            healthy: BTreeSet::from([own.clone()]),
            digest: digest(&own.text()),
            last_down: 0,
            own,
            peers: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            expiry: Timers::new(),
            hash: OnceCell::new(),
            config,
        }
    }

    /// The node itself.
    pub fn own(&self) -> &Node {
        &self.own
    }

    /// The peer at this endpoint.
    pub fn get(&self, endpoint: SocketAddr) -> Option<&Peer> {
        self.peers.get(&endpoint)
    }

    /// The endpoint of the peer that receives datagrams at this address.
    pub fn endpoint_of(&self, datagram_address: SocketAddr) -> Option<SocketAddr> {
        let ip = datagram_address.ip();
        let mut at_address = self.peers.range(ports_of(ip));
        let (endpoint, _) = at_address.find(|(_, peer)| peer.node.datagram_address() == datagram_address)?;
        Some(*endpoint)
    }

    /// The endpoints at this address of peers that have not been up yet.
    pub fn unverified_at(&self, address: IpAddr) -> Vec<SocketAddr> {
        let peers = self.peers.range(ports_of(address));
        let unverified = peers.filter(|(_, peer)| peer.is_unverified());
        unverified.map(|(endpoint, _)| *endpoint).collect()
    }

    /// The endpoints of all peers that have not been up yet.
    pub fn unverified(&self) -> Vec<SocketAddr> {
        let unverified = self.peers.iter().filter(|(_, peer)| peer.is_unverified());
        unverified.map(|(endpoint, _)| *endpoint).collect()
    }

    /// Every known node except this one.
    pub fn peers(&self) -> impl ExactSizeIterator<Item = &Peer> {
        self.peers.values()
    }

    /// The peers that are up.
    pub fn up(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(|peer| peer.is_up())
    }

    /// This node and all peers that are up, in the protocol's order.
    pub fn healthy(&self) -> &BTreeSet<Node> {
        &self.healthy
    }

    /// Whether exactly this node is a peer that is up.
    pub fn is_up(&self, node: &Node) -> bool {
        self.healthy.contains(node) && *node != self.own
    }

    /// Whether the peer at this endpoint is up.
    pub fn is_up_at(&self, endpoint: SocketAddr) -> bool {
        self.get(endpoint).is_some_and(Peer::is_up)
    }

    /// Whether the peer at this endpoint gossips.
    pub fn gossips(&self, endpoint: SocketAddr) -> bool {
        self.get(endpoint).is_some_and(Peer::gossips)
    }

    /// Whether no peer is up.
    pub fn is_alone(&self) -> bool {
        self.healthy.len() == 1
    }

    /// Whether more peers are known than in a small mesh.
    pub fn is_large(&self) -> bool {
        self.peers.len() > self.config.small_mesh
    }

    /// The peer to forget if there is no room for another node at this address.
    ///
    /// If the address is at its limit, one of its own that is not up. If all room is taken, one that is not up, of the
    /// address with most nodes; see [`Peer::eviction_rank`]. If all are up, one of the address with most nodes. But none of
    /// an address with fewer nodes than this one would have: no address drives out others.
    pub fn in_the_way(&self, address: IpAddr) -> Option<&Peer> {
        let crowded = self.is_crowded(address);
        if !crowded && !self.is_full() {
            return None;
        }
        let here = self.peers.range(ports_of(address)).count();
        let peers: Vec<&Peer> = self.peers.values().collect();
        let addresses = peers.chunk_by(|a, b| a.node.address() == b.node.address());
        let larger = addresses
            .clone()
            .filter(|at| at[0].node.address() == address || !crowded && at.len() > here);
        let candidates = larger
            .flat_map(|at| at.iter().map(|peer| (Reverse(at.len()), *peer)))
            .filter_map(|(nodes, peer)| {
                let (down, since) = peer.eviction_rank()?;
                Some(((down, nodes, since), peer))
            });
        if let Some((_, peer)) = candidates.min_by_key(|(rank, _)| *rank) {
            return Some(peer);
        }
        let most = addresses.max_by_key(|at| at.len()).filter(|_| !crowded)?;
        most.last().filter(|_| most.len() > here + 1).copied()
    }

    fn is_full(&self) -> bool {
        self.peers.len() + 1 >= MAX_NODES
    }

    fn is_crowded(&self, address: IpAddr) -> bool {
        self.peers.range(ports_of(address)).count() >= self.config.max_peers_per_address
    }

    /// The hash that datagrams carry.
    pub fn hash(&self) -> Arc<str> {
        self.hash
            .get_or_init(|| membership_hash(&self.healthy).into())
            .clone()
    }

    /// The sum of the digests of this node and all peers that are up.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The value of [`Self::digest`] if the node that went down last were still up.
    pub fn digest_before_last_down(&self) -> u64 {
        self.digest.wrapping_add(self.last_down)
    }

    /// The value of [`Self::digest`] if none of these nodes were up.
    pub fn digest_without(&self, down: impl Iterator<Item = SocketAddr>) -> u64 {
        let up = down
            .filter_map(|endpoint| self.peers.get(&endpoint))
            .filter(|peer| peer.is_up());
        up.fold(self.digest, |sum, peer| {
            sum.wrapping_sub(digest(&peer.node.text()))
        })
    }

    /// Every known node with its health, this one first: the body of a node exchange.
    pub fn states(&self) -> Vec<NodeState> {
        let own = NodeState {
            node: self.own.clone(),
            healthy: true,
        };
        let others = self.peers.values().map(|peer| NodeState {
            node: peer.node.clone(),
            healthy: peer.is_up(),
        });
        std::iter::once(own).chain(others).take(MAX_NODES).collect()
    }

    /// Handles the news that a node exists.
    pub fn hear(&mut self, now: Duration, node: &Node, source: Source) -> Heard {
        let endpoint = node.endpoint();
        if endpoint == self.own.endpoint() {
            return Heard::Ignored;
        }
        let held = self.peers.get(&endpoint).map(|peer| peer.node == *node);
        match (held, source) {
            (Some(true), Source::Direct) => {
                self.apply(now, endpoint, PeerEvent::Introduced);
                return Heard::Known;
            }
            (Some(true), Source::Relayed) => return Heard::Known,
            // The next answer from the endpoint proves which node it is.
            (Some(false), Source::Relayed) => return Heard::Ignored,
            (None, Source::Relayed) if self.is_buried(now, node) => return Heard::Ignored,
            _ => {}
        }
        let replaced = self.forget(now, endpoint);
        if self.is_full() || self.is_crowded(node.address()) {
            return Heard::Ignored;
        }
        let echo = self.is_buried(now, node);
        self.tombstones.remove(node);
        self.peers.insert(endpoint, Peer::new(node.clone(), now, echo));
        self.schedule_expiry(endpoint);
        if source == Source::Direct {
            self.apply(now, endpoint, PeerEvent::Introduced);
        }
        replaced.map_or(Heard::Added, Heard::Replaced)
    }

    /// Applies an event to the peer at this endpoint, and follows its transition.
    pub fn apply(&mut self, now: Duration, endpoint: SocketAddr, event: PeerEvent) -> Transition {
        let Some(peer) = self.peers.get_mut(&endpoint) else {
            return Transition::None;
        };
        let transition = peer.apply(now, event, &self.config);
        match transition {
            Transition::None if peer.is_up() => return transition,
            Transition::None => {}
            Transition::CameUp => {
                self.digest = self.digest.wrapping_add(digest(&peer.node.text()));
                self.healthy.insert(peer.node.clone());
                self.hash.take();
            }
            Transition::WentDown => {
                let node = peer.node.clone();
                self.last_down = digest(&node.text());
                self.no_longer_healthy(&node);
            }
            Transition::Left => {
                if let Some(peer) = self.peers.remove(&endpoint) {
                    self.no_longer_healthy(&peer.node);
                    self.bury(now, peer.node);
                }
            }
        }
        self.schedule_expiry(endpoint);
        transition
    }

    fn no_longer_healthy(&mut self, node: &Node) {
        if self.healthy.remove(node) {
            self.digest = self.digest.wrapping_sub(digest(&node.text()));
            self.hash.take();
        }
    }

    /// Forgets the peer at this endpoint, and leaves a tombstone.
    pub fn forget(&mut self, now: Duration, endpoint: SocketAddr) -> Option<Node> {
        let node = self.get(endpoint)?.node.clone();
        self.apply(now, endpoint, PeerEvent::Removed);
        Some(node)
    }

    /// Makes this node another one. Relayed news of the one that it was are ignored for a while.
    pub(super) fn readdress(&mut self, now: Duration, own: Node) {
        let before = std::mem::replace(&mut self.own, own.clone());
        self.no_longer_healthy(&before);
        self.digest = self.digest.wrapping_add(digest(&own.text()));
        self.tombstones.remove(&own);
        if before != own {
            self.bury(now, before);
        }
        self.healthy.insert(own);
        self.hash.take();
    }

    fn bury(&mut self, now: Duration, node: Node) {
        if self.tombstones.len() >= MAX_NODES {
            self.tombstones.retain(|_, until| *until > now);
        }
        if self.tombstones.len() < MAX_NODES {
            self.tombstones.insert(node, now + self.config.tombstone);
        }
    }

    fn is_buried(&self, now: Duration, node: &Node) -> bool {
        self.tombstones.get(node).is_some_and(|until| *until > now)
    }

    fn schedule_expiry(&mut self, endpoint: SocketAddr) {
        match self.expiry(endpoint) {
            Some(at) => self.expiry.set(endpoint, at),
            None => self.expiry.cancel(endpoint),
        }
    }

    /// When the peer at this endpoint is to be forgotten, if nothing changes.
    pub fn expiry(&self, endpoint: SocketAddr) -> Option<Duration> {
        self.get(endpoint)?.expires_at(&self.config)
    }

    /// When the next peer expires.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.expiry.next()
    }

    /// Takes the next peer that has expired.
    pub(super) fn pop_expired(&mut self, now: Duration) -> Option<SocketAddr> {
        self.expiry.pop(now)
    }
}

/// Every endpoint at an address.
fn ports_of(address: IpAddr) -> RangeInclusive<SocketAddr> {
    SocketAddr::new(address, 0)..=SocketAddr::new(address, u16::MAX)
}
