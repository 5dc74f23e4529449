//! What nodes compare to find out whether they know the same: hash, digest, and all lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Directory;
use crate::mesh::wire::{ExchangeKind, MAX_NODES, Node, NodeServices, Recorded, ServiceList, services_hash};

impl Directory {
    /// The text that `khala.hash` compares.
    pub fn hash(&self) -> Arc<str> {
        let texts = || self.lists.values().map(|entry| entry.text.as_str());
        self.hash.get_or_init(|| services_hash(texts()).into()).clone()
    }

    /// Whether an original that records these nodes has the same services of them. It learns of a node later than we do:
    /// the nodes themselves may differ.
    pub(in crate::mesh) fn agrees_with(&self, recorded: &Recorded) -> bool {
        let mut lists = self.lists.iter();
        lists.all(|(node, entry)| recorded.agrees(node, &entry.text))
    }

    /// The nodes that an original does not record.
    pub(in crate::mesh) fn unrecorded(&self, recorded: &Recorded) -> Vec<Node> {
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

    /// The lists of nodes that are down, whose instances are the last choice.
    pub fn lost_lists(&self) -> impl Iterator<Item = NodeServices> {
        self.lost.lists()
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
}
