//! The lists of nodes that were lost: their instances are the last choice until the node is up again, has withdrawn
//! them, has left, or is forgotten.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::shares::{self, Cut};
use crate::balance::service::LastChoice;
use crate::mesh::wire::{Node, NodeServices, ServiceList, ServiceNode};

/// What has become of the instances of a lost node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    LastChoice(LastChoice),
    /// Another node is in its place: they are gone, but were not withdrawn.
    Replaced,
}

#[derive(Debug)]
struct Lost {
    node: Node,
    services: ServiceList,
    fate: Fate,
}

impl Lost {
    fn last_choice(&self) -> Option<LastChoice> {
        match self.fate {
            Fate::LastChoice(why) => Some(why),
            Fate::Replaced => None,
        }
    }
}

/// The last lists of lost nodes, at most one for each endpoint.
#[derive(Debug, Default)]
pub(super) struct LostLists {
    by_endpoint: BTreeMap<SocketAddr, Lost>,
    /// Service nodes in all of them.
    total: usize,
    /// What was cut to make room and is not yet reported.
    cut: Vec<Cut>,
}

impl LostLists {
    /// Keeps the list of a lost node. If there is no room for all of it, the longest lists of the addresses that hold most
    /// are cut.
    pub(super) fn keep(&mut self, node: &Node, services: ServiceList, why: LastChoice, max_total: usize) {
        self.forget(node.endpoint());
        if services.is_empty() {
            return;
        }
        self.total += services.len();
        let lost = Lost {
            node: node.clone(),
            services,
            fate: Fate::LastChoice(why),
        };
        self.by_endpoint.insert(node.endpoint(), lost);
        if self.total > max_total {
            self.cut_to(max_total);
        }
    }

    fn cut_to(&mut self, max_total: usize) {
        let lists = self.by_endpoint.iter();
        let lists = lists.map(|(endpoint, lost)| (endpoint.ip(), *endpoint, lost.services.len()));
        for (endpoint, length) in shares::cuts(lists, max_total) {
            if let Some(lost) = self.by_endpoint.get_mut(&endpoint) {
                let cut = lost.services.len() - length;
                lost.services = lost.services.first(length);
                self.total -= cut;
                shares::note(&mut self.cut, endpoint.ip(), cut);
            }
        }
    }

    /// Takes what was cut to make room, by address.
    pub(super) fn take_cuts(&mut self) -> Vec<Cut> {
        std::mem::take(&mut self.cut)
    }

    /// Notes that another node is at the endpoint of a lost one.
    pub(super) fn replace(&mut self, endpoint: SocketAddr) {
        if let Some(lost) = self.by_endpoint.get_mut(&endpoint) {
            lost.fate = Fate::Replaced;
        }
    }

    /// A node is up: its list counts again. Another one at its endpoint is replaced by it.
    pub(super) fn came_up(&mut self, node: &Node) {
        match self.by_endpoint.get(&node.endpoint()) {
            Some(lost) if lost.node == *node => self.forget(node.endpoint()),
            _ => self.replace(node.endpoint()),
        }
    }

    /// Replaces the list of a lost node by what it says itself. False if nothing changed.
    pub(super) fn set(&mut self, node: &Node, services: ServiceList, max_total: usize) -> bool {
        match self.get(node) {
            Some((held, why)) if *held != services => {
                self.keep(node, services, why, max_total);
                true
            }
            _ => false,
        }
    }

    /// The list of a lost node, and why its instances are the last choice.
    pub(super) fn get(&self, node: &Node) -> Option<(&ServiceList, LastChoice)> {
        let lost = self.by_endpoint.get(&node.endpoint())?;
        let why = lost.last_choice().filter(|_| lost.node == *node)?;
        Some((&lost.services, why))
    }

    pub(super) fn forget(&mut self, endpoint: SocketAddr) {
        if let Some(lost) = self.by_endpoint.remove(&endpoint) {
            self.total -= lost.services.len();
        }
    }

    /// Every list that is the last choice.
    pub(super) fn lists(&self) -> impl Iterator<Item = NodeServices> {
        let lost = self.by_endpoint.values();
        let last_choice = lost.filter(|lost| lost.last_choice().is_some());
        last_choice.map(|lost| NodeServices {
            node: lost.node.clone(),
            khala_nodes: lost.services.clone(),
        })
    }

    /// Every service node that is the last choice, with its node.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Node, &ServiceNode, LastChoice)> {
        let lost = self.by_endpoint.values();
        let lists = lost.filter_map(|lost| Some((lost, lost.last_choice()?)));
        lists.flat_map(|(lost, why)| {
            lost.services
                .iter()
                .map(move |service| (&lost.node, service, why))
        })
    }

    /// The service nodes of nodes that were replaced, with their nodes.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (&Node, &ServiceNode)> {
        let lost = self.by_endpoint.values();
        let replaced = lost.filter(|lost| lost.fate == Fate::Replaced);
        replaced.flat_map(|lost| lost.services.iter().map(move |service| (&lost.node, service)))
    }
}
