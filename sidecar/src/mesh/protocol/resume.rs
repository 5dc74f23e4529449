//! What a node knows of the mesh, handed from one process of it to the next, so that peers see no restart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::peer::{Peer, Source};
use super::{Failure, Protocol};
use crate::mesh::wire::{
    Dropped, ExchangeKind, Malformed, Node, NodeServices, NodeState, Request, ServiceList,
};

/// What a node knows of the mesh: its peers and the lists of those that are up. In JSON, `nodes` and `lists` are the
/// bodies of a node exchange and of `khala.sync`, and have their limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Encoded")]
pub struct Knowledge {
    /// The node itself, then its peers.
    nodes: Vec<NodeState>,
    /// The endpoints of the peers that gossip.
    gossiping: BTreeSet<SocketAddr>,
    /// The lists of the node, of the peers that are up, and of those that are down.
    lists: Vec<NodeServices>,
}

#[derive(Deserialize)]
struct Encoded {
    nodes: Box<RawValue>,
    gossiping: BTreeSet<SocketAddr>,
    lists: Box<RawValue>,
}

impl TryFrom<Encoded> for Knowledge {
    type Error = Malformed;

    fn try_from(encoded: Encoded) -> Result<Self, Malformed> {
        let parse =
            |kind, text: &RawValue| Request::parse(kind, text.get().as_bytes(), &mut Dropped::default());
        let nodes = parse(ExchangeKind::Nodes, &encoded.nodes)?;
        let lists = parse(ExchangeKind::Sync, &encoded.lists)?;
        match (nodes, lists) {
            (Request::Nodes(nodes), Request::Sync(lists)) => Ok(Self {
                nodes,
                gossiping: encoded.gossiping,
                lists,
            }),
            _ => Err(Malformed::new("expected nodes and lists")),
        }
    }
}

impl Knowledge {
    /// The node that knows it.
    pub fn node(&self) -> Option<&Node> {
        self.nodes.first().map(|state| &state.node)
    }
}

impl Protocol {
    /// What the node knows now.
    pub fn knowledge(&self) -> Knowledge {
        let gossiping = self.membership.peers().filter(|peer| peer.gossips());
        Knowledge {
            nodes: self.membership.states(),
            gossiping: gossiping.map(|peer| peer.node.endpoint()).collect(),
            lists: self
                .directory
                .lists()
                .chain(self.directory.lost_lists())
                .collect(),
        }
    }

    /// Goes on with what an earlier process of this node knew: peers that were up are up, as if each had just joined
    /// with its list; those that were down and had one are down, and their instances the last choice; each other peer is
    /// checked. They have the node's own list already, so nothing is announced to them.
    pub fn resume(&mut self, now: Duration, known: Knowledge) {
        let Knowledge {
            nodes,
            gossiping,
            lists,
        } = known;
        let mut lists: BTreeMap<Node, ServiceList> = lists
            .into_iter()
            .map(|list| (list.node, list.khala_nodes))
            .collect();
        let own = self.membership.own().clone();
        if let Some(services) = lists.remove(&own) {
            self.directory.set(&own, services);
        }
        for NodeState { node, healthy } in nodes {
            let list = lists.remove(&node);
            let gossips = gossiping.contains(&node.endpoint());
            match (healthy, list) {
                (false, None) => {
                    self.hear(now, &node, Source::Relayed);
                }
                (false, Some(services)) => self.resume_down(now, &node, services, gossips),
                (true, list) if gossips => {
                    let khala_nodes = list.unwrap_or_default();
                    self.joined_by(now, NodeServices { node, khala_nodes });
                }
                (true, list) => self.resume_silent(now, &node, list.unwrap_or_default()),
            }
        }
        self.changed = true;
    }

    /// Goes on with a peer that was down.
    fn resume_down(&mut self, now: Duration, node: &Node, services: ServiceList, gossips: bool) {
        let endpoint = node.endpoint();
        self.note(now, node, Source::Relayed);
        if gossips {
            self.gossip_seen(now, endpoint);
        }
        self.verified(now, endpoint);
        if self.membership.is_up(node) {
            self.directory.set(node, services);
        }
        while self.membership.is_up(node) {
            self.check_failed(now, endpoint, Failure::Timeout);
        }
    }

    /// Goes on with a peer that was up and does not gossip; it is checked at once.
    fn resume_silent(&mut self, now: Duration, node: &Node, services: ServiceList) {
        let endpoint = node.endpoint();
        self.note(now, node, Source::Direct);
        self.verified(now, endpoint);
        if self.membership.get(endpoint).is_some_and(Peer::is_up) {
            self.directory.set(node, services);
            self.exchange_if_due(now, endpoint);
        }
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
