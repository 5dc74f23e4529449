//! The directory of services: the lists of this node and of every peer that is up (khala), and those of lost peers. Pure.

pub mod acceptance;
mod comparison;
mod lost;
mod offered;
mod shares;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use self::lost::LostLists;
pub use self::offered::Excluded;
pub use self::shares::Cut;
use super::wire::services_text;
use super::wire::{MAX_SERVICES, Node, NodeChange, NodeServices, ServiceList, ServiceNode, digest};
use crate::balance::service::{LastChoice, Offer};

/// Service nodes held at most over the lists of nodes that are up, and as many over those of lost nodes.
const MAX_TOTAL: usize = 65_536;
/// Changes of the own list that are kept, to be announced one by one; a peer that misses more gets the whole list.
const MAX_CHANGES: usize = 4;

/// A change of this node's own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A service node was added.
    Add(NodeChange),
    /// A service node was removed.
    Remove(NodeChange),
}

#[derive(Debug)]
struct Entry {
    services: ServiceList,
    /// Its part of the hashed text, cached because a change leaves most parts as they are.
    text: String,
    digest: u64,
    /// Its size in the body of `khala.sync`, in bytes.
    size: usize,
}

/// The lists that one node knows.
///
/// The own list has a revision, which counts its changes; a peer that has acknowledged one needs the changes after
/// it.
#[derive(Debug)]
pub struct Directory {
    own: Node,
    lists: BTreeMap<Node, Entry>,
    lost: LostLists,
    /// Nodes that are up and said to leave.
    leave_claimed: BTreeSet<Node>,
    total: usize,
    /// Size of all entries, in bytes.
    size: usize,
    revision: u64,
    /// The latest changes of the own list; the newest led to `revision`.
    changes: VecDeque<Change>,
    hash: OnceCell<Arc<str>>,
    /// The sum of all entries' digests.
    digest: u64,
    /// What was cut to make room and is not yet reported.
    cut: Vec<Cut>,
}

impl Directory {
    /// A directory that holds only the node's own, empty list.
    pub fn new(own: Node) -> Self {
        let mut directory = Self {
            own: own.clone(),
            lists: BTreeMap::new(),
            lost: LostLists::default(),
            leave_claimed: BTreeSet::new(),
            total: 0,
            size: 0,
            revision: 0,
            changes: VecDeque::new(),
            hash: OnceCell::new(),
            digest: 0,
            cut: Vec::new(),
        };
        directory.set(&own, ServiceList::default());
        directory
    }

    /// Number of changes of the own list.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The own list.
    pub fn local(&self) -> NodeServices {
        NodeServices {
            node: self.own.clone(),
            khala_nodes: self.services(&self.own).cloned().unwrap_or_default(),
        }
    }

    /// The list of a node.
    pub fn services(&self, node: &Node) -> Option<&ServiceList> {
        self.lists.get(node).map(|entry| &entry.services)
    }

    /// Replaces the list of a node. False if nothing changed. If there is no room for all of it, the longest lists of the
    /// addresses that hold most are cut, which may be this one.
    pub fn set(&mut self, node: &Node, services: ServiceList) -> bool {
        if services.len() > MAX_SERVICES || self.services(node) == Some(&services) {
            return false;
        }
        let whole = services.len();
        let (services, cut_others) = self.make_room(node, services);
        if self.services(node) == Some(&services) {
            return cut_others;
        }
        self.note_cut(node, whole - services.len());
        self.lost.came_up(node);
        self.put(node, services);
        true
    }

    /// Cuts lists so that all fit with this one. Returns what of it fits, and whether another was cut.
    fn make_room(&mut self, node: &Node, services: ServiceList) -> (ServiceList, bool) {
        let length = |node: &Node| self.services(node).map_or(0, ServiceList::len);
        if self.total - length(node) + services.len() <= MAX_TOTAL {
            return (services, false);
        }
        let others = self.lists.iter().filter(|(other, _)| *other != node);
        let others = others.map(|(other, entry)| (other, entry.services.len()));
        // The own list is never cut.
        let all = others
            .chain([(node, services.len())])
            .filter(|(other, _)| **other != self.own);
        let own = if *node == self.own {
            services.len()
        } else {
            length(&self.own)
        };
        let cuts = shares::cuts(
            all.map(|(node, length)| (node.address(), node.clone(), length)),
            MAX_TOTAL - own,
        );
        let (mut fits, mut cut_others) = (services, false);
        for (cut, length) in cuts {
            if cut == *node {
                fits = fits.first(length);
            } else if let Some(held) = self.services(&cut).cloned() {
                self.note_cut(&cut, held.len() - length);
                self.put(&cut, held.first(length));
                cut_others = true;
            }
        }
        (fits, cut_others)
    }

    fn note_cut(&mut self, node: &Node, services: usize) {
        if services > 0 {
            shares::note(&mut self.cut, node.address(), services);
        }
    }

    /// Takes what was cut to make room, by address.
    pub fn take_cuts(&mut self) -> Vec<Cut> {
        let mut cuts = std::mem::take(&mut self.cut);
        cuts.append(&mut self.lost.take_cuts());
        cuts
    }

    fn put(&mut self, node: &Node, services: ServiceList) {
        let held = self.lists.get(node);
        let (held, held_size, held_digest) =
            held.map_or((0, 0, 0), |held| (held.services.len(), held.size, held.digest));
        self.total = self.total - held + services.len();
        let text = services_text(node, &services);
        let list = NodeServices {
            node: node.clone(),
            khala_nodes: services,
        };
        let size = list.size();
        self.size = self.size - held_size + size;
        let digest = digest(&text);
        self.digest = self.digest.wrapping_sub(held_digest).wrapping_add(digest);
        let entry = Entry {
            services: list.khala_nodes,
            text,
            digest,
            size,
        };
        self.lists.insert(list.node, entry);
        self.hash.take();
    }

    /// Adds a service node to the list of a node whose list is known, or replaces the one of the same identity. False
    /// if nothing changed.
    pub fn add(&mut self, node: &Node, service: ServiceNode) -> bool {
        let list = self.services(node).map(|list| list.with(service));
        list.is_some_and(|list| self.set(node, list))
    }

    /// Removes a service node from the list of a node. False if nothing changed.
    pub fn remove(&mut self, node: &Node, service: &ServiceNode) -> bool {
        let list = self.services(node).map(|list| list.without(service));
        list.is_some_and(|list| self.set(node, list))
    }

    /// Takes a withdrawal by a node that is down. False if nothing changed.
    pub fn withdraw_lost(&mut self, node: &Node, service: &ServiceNode) -> bool {
        let list = self.lost.get(node).map(|(list, _)| list.without(service));
        list.is_some_and(|list| self.set_lost(node, list))
    }

    /// Replaces the list of a node that is down by what it says itself. False if nothing changed.
    pub fn set_lost(&mut self, node: &Node, services: ServiceList) -> bool {
        self.lost.set(node, services, MAX_TOTAL)
    }

    /// Notes that a node is down: its instances are the last choice until it is up again or forgotten. False if there was
    /// no list.
    pub fn mark_down(&mut self, node: &Node) -> bool {
        let services = self.services(node).cloned();
        let known = self.remove_list(node);
        if let Some(services) = services {
            self.lost.keep(node, services, LastChoice::NodeDown, MAX_TOTAL);
        }
        known
    }

    /// Notes that another node answers in the place of this one. False if there was no list.
    pub fn mark_replaced(&mut self, node: &Node) -> bool {
        let known = self.mark_down(node);
        if known {
            self.lost.replace(node.endpoint());
        }
        known
    }

    /// Notes whether a node that is up is said to leave: its instances are the last choice while it is. False if nothing
    /// changed.
    pub fn set_leave_claimed(&mut self, node: &Node, claimed: bool) -> bool {
        if claimed && self.lists.contains_key(node) {
            self.leave_claimed.insert(node.clone())
        } else {
            self.leave_claimed.remove(node)
        }
    }

    /// Drops a node's list. False if there was none.
    pub fn drop_node(&mut self, node: &Node) -> bool {
        self.lost.forget(node.endpoint());
        self.remove_list(node)
    }

    fn remove_list(&mut self, node: &Node) -> bool {
        let Some(entry) = self.lists.remove(node) else {
            return false;
        };
        self.leave_claimed.remove(node);
        self.total -= entry.services.len();
        self.size -= entry.size;
        self.digest = self.digest.wrapping_sub(entry.digest);
        self.hash.take();
        true
    }

    /// Replaces the own list. False if it is unchanged.
    pub fn offer(&mut self, offers: &[Offer]) -> bool {
        let own = self.own.clone();
        let before = self.local().khala_nodes;
        let after: ServiceList = offers.iter().map(ServiceNode::from).collect();
        if !self.set(&own, after.clone()) {
            return false;
        }
        let (before, after): (Vec<_>, Vec<_>) = (before.iter().collect(), after.iter().collect());
        let missing_in = |there: &[&ServiceNode], node: &ServiceNode| {
            there
                .binary_search_by(|other| other.key().cmp(&node.key()))
                .map_or(true, |i| there[i] != node)
        };
        // A changed weight is announced as remove and add, because peers ignore an add for an identity that they
        // have.
        let removed = before.iter().filter(|node| missing_in(&after, node));
        let added = after.iter().filter(|node| missing_in(&before, node));
        let change = |node: &ServiceNode| NodeChange {
            node: own.clone(),
            khala_node: node.clone(),
        };
        let changes = removed.map(|node| Change::Remove(change(node)));
        for change in changes.chain(added.map(|node| Change::Add(change(node)))) {
            self.revision += 1;
            self.changes.push_back(change);
            if self.changes.len() > MAX_CHANGES {
                self.changes.pop_front();
            }
        }
        true
    }

    /// Makes the own list that of another node. All peers need the whole list then.
    pub(super) fn readdress(&mut self, own: Node) {
        let services = self.local().khala_nodes;
        let before = std::mem::replace(&mut self.own, own.clone());
        self.drop_node(&before);
        self.set(&own, services);
        self.revision += 1;
        self.changes.clear();
    }

    /// The change that follows a revision of the own list; none if it is no longer kept.
    pub fn change_after(&self, revision: u64) -> Option<&Change> {
        let behind = usize::try_from(self.revision.checked_sub(revision)?).ok()?;
        self.changes.get(self.changes.len().checked_sub(behind)?)
    }

    /// Every service node that is offered, with its node, in the protocol's order of nodes.
    pub fn iter(&self) -> impl Iterator<Item = (&Node, &ServiceNode)> {
        let up = self
            .lists
            .iter()
            .filter(|(node, _)| !self.leave_claimed.contains(*node));
        up.flat_map(|(node, entry)| entry.services.iter().map(move |service| (node, service)))
    }

    /// Every service node that is offered or the last choice, with its node.
    pub fn all(&self) -> impl Iterator<Item = (&Node, &ServiceNode)> {
        let last_choice = self.last_choice().map(|(node, service, _)| (node, service));
        self.iter().chain(last_choice)
    }

    /// Every service node that is the last choice, with its node.
    pub fn last_choice(&self) -> impl Iterator<Item = (&Node, &ServiceNode, LastChoice)> {
        let leaving = self
            .leave_claimed
            .iter()
            .filter_map(|node| self.lists.get_key_value(node));
        let leaving = leaving.flat_map(|(node, entry)| {
            let services = entry.services.iter();
            services.map(move |service| (node, service, LastChoice::LeaveClaimed))
        });
        leaving.chain(self.lost.iter())
    }
}
