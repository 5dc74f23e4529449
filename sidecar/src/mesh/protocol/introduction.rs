//! How a node and a peer that is not up get to know each other: `khala.hash` first, by which an original says who it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Protocol;
use super::peer::Peer;
use crate::mesh::wire::{Recorded, ServiceList, services_hash};

impl Protocol {
    /// Whether a peer is checked by `khala.hash`, which says nothing about us: an original that does not record us refuses
    /// `khala.local`, with an error in its log.
    pub(super) fn is_checked_by_hash(&self, peer: &Peer) -> bool {
        let plan = self.exchanges.plan(peer.node.endpoint());
        let takes_list = plan.is_some_and(|plan| plan.asks_list || plan.records_us);
        !peer.gossips() && (peer.is_up() || !takes_list)
    }

    /// The hash of a node that knows itself alone, which is short in a large mesh as well.
    pub(super) fn own_hash(&self) -> Arc<str> {
        services_hash([self.membership.own().text().as_str()]).into()
    }

    /// Handles the answer to `khala.hash` of a peer that is not up. An original's text proves that it is this node, and has
    /// its services, without their weights. Any other peer is asked for its list, and so is an original that records us.
    pub(super) fn introduced(&mut self, now: Duration, endpoint: SocketAddr, hash: &str) {
        let next_check = self.next_check(now, endpoint);
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        let node = peer.node.clone();
        let recorded = Recorded::parse(hash, endpoint).filter(|_| !peer.gossips());
        if let Some(other) = recorded.as_ref().map(Recorded::by).filter(|by| **by != node) {
            return self.answered_by_another(now, endpoint, other);
        }
        let records_us = recorded.as_ref().is_some_and(|it| it.has(self.membership.own()));
        let services = recorded.as_ref().filter(|_| !records_us);
        let services = services.and_then(|it| it.services(&node, &ServiceList::default()));
        let Some(plan) = self.exchanges.plan_mut(endpoint) else {
            return;
        };
        let (Some(recorded), Some(services)) = (recorded, services) else {
            (plan.asks_list, plan.check_at) = (true, now);
            return;
        };
        plan.check_at = next_check;
        plan.unrecorded = self.directory.unrecorded(&recorded);
        plan.lacks_weights = true;
        self.verified(now, endpoint);
        self.heard_from(now, endpoint);
        self.introduce(now, endpoint);
        self.changed |= self.directory.set(&node, services);
    }

    /// Sends a `search` to an original that does not record us, again after a pause, since it may be lost: it would else
    /// hear of us with its own next search only.
    pub(super) fn introduce(&mut self, now: Duration, endpoint: SocketAddr) {
        let (Some(peer), Some(plan)) = (self.membership.get(endpoint), self.exchanges.plan_mut(endpoint))
        else {
            return;
        };
        if plan.records_us || plan.introduce_at > now {
            return;
        }
        plan.introduce_at = now + self.config.introduce_pause;
        self.search(vec![peer.node.datagram_address()]);
    }
}
