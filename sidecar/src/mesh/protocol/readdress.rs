//! A node whose own address has changed, or was unusable for a while.

use std::net::SocketAddr;
use std::time::Duration;

use super::join::Join;
use super::search::Searches;
use super::targets::Search;
use super::{Action, Protocol};
use crate::mesh::wire::Node;

impl Protocol {
    /// `leave` to all known nodes, in the name of the address that is given up. The node itself goes on.
    pub fn farewell(&mut self) -> Vec<Action> {
        self.send_leave();
        self.take_actions()
    }

    /// Goes on as this node. Peers stay as they are: each that is up gets our list, which announces the new address,
    /// and each other is checked. What happened while the node had no address says nothing about any of them.
    pub(super) fn readdressed(&mut self, now: Duration, own: Node, search: Search) {
        let endpoint = own.endpoint();
        self.exchanges.abandon();
        self.forget(now, endpoint, None);
        self.membership.readdress(now, own.clone());
        self.directory.readdress(own);
        self.join = Join::new(self.config.clone(), endpoint);
        self.probes.readdress(endpoint);
        self.searches = Searches::new(self.config.clone(), search, &mut self.rng);
        self.changed = true;
        let peers: Vec<(SocketAddr, bool)> = self
            .membership
            .peers()
            .map(|peer| (peer.node.endpoint(), peer.is_up()))
            .collect();
        for (endpoint, up) in peers {
            if !up {
                self.check_now(now, endpoint);
                continue;
            }
            if self.membership.gossips(endpoint) {
                self.begin_probes(now, endpoint);
            } else {
                self.heard_from(now, endpoint);
            }
            if let Some(plan) = self.exchanges.plan_mut(endpoint) {
                plan.announce(now);
            }
            self.exchange_if_due(now, endpoint);
        }
    }
}
