//! The directory of services: the lists of this node and of every peer that is up (khala), and those of lost peers. Pure.

pub mod acceptance;
mod lost;
mod offered;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use self::lost::LostLists;
pub use self::offered::Excluded;
use super::wire::services_text;
use super::wire::{
    ExchangeKind, MAX_NODES, MAX_SERVICES, Node, NodeChange, NodeServices, Recorded, ServiceList,
    ServiceNode, digest, services_hash,
};
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

    /// Replaces the list of a node. False if it is unchanged, or there is no room.
    pub fn set(&mut self, node: &Node, services: ServiceList) -> bool {
        let held = self.lists.get(node);
        if held.is_some_and(|held| held.services == services) {
            return false;
        }
        let (held, held_size, held_digest) =
            held.map_or((0, 0, 0), |held| (held.services.len(), held.size, held.digest));
        let total = self.total - held + services.len();
        if total > MAX_TOTAL || services.len() > MAX_SERVICES {
            return false;
        }
        self.total = total;
        self.lost.came_up(node);
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
        true
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

    /// The text that `khala.hash` compares.
    pub fn hash(&self) -> Arc<str> {
        let texts = || self.lists.values().map(|entry| entry.text.as_str());
        self.hash.get_or_init(|| services_hash(texts()).into()).clone()
    }

    /// Whether an original that records these nodes has the same services of them. It learns of a node later than we do:
    /// the nodes themselves may differ.
    pub(super) fn agrees_with(&self, recorded: &Recorded) -> bool {
        let mut lists = self.lists.iter();
        lists.all(|(node, entry)| recorded.agrees(node, &entry.text))
    }

    /// The nodes that an original does not record.
    pub(super) fn unrecorded(&self, recorded: &Recorded) -> Vec<Node> {
        let nodes = self.lists.keys().filter(|node| !recorded.has(node));
        nodes.cloned().collect()
    }

    /// The sum of the digests of all lists.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Every list: the body of `khala.sync`. None if it exceeds the size that others read.
    pub fn everything(&self) -> Option<Vec<NodeServices>> {
        // Two brackets, and a comma after each entry but the last.
        if self.lists.len() > MAX_NODES || self.size + self.lists.len() + 1 > ExchangeKind::Sync.max_body() {
            return None;
        }
        Some(self.lists().collect())
    }

    /// Every list, without a limit.
    pub fn lists(&self) -> impl Iterator<Item = NodeServices> {
        self.lists.iter().map(|(node, entry)| NodeServices {
            node: node.clone(),
            khala_nodes: entry.services.clone(),
        })
    }

    /// The nodes whose lists differ, or that only one side has; at most as many as fit into the answer to
    /// `khala.sync`.
    pub fn diff(&self, theirs: &[NodeServices]) -> Vec<Node> {
        let theirs: BTreeMap<&Node, &ServiceList> = theirs
            .iter()
            .map(|list| (&list.node, &list.khala_nodes))
            .collect();
        let only_theirs = theirs.keys().filter(|node| !self.lists.contains_key(**node));
        let ours = self.lists.iter().filter(|(node, entry)| {
            let same = |list: &&ServiceList| list.same_keys(&entry.services);
            !theirs.get(*node).is_some_and(same)
        });
        ours.map(|(node, _)| node)
            .chain(only_theirs.copied())
            .take(MAX_NODES)
            .cloned()
            .collect()
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
