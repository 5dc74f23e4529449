//! Reports what is left out of the lists of others: instances that do not count, and weights above the maximum.

use std::collections::BTreeSet;

use super::counters::Counters;
use super::directory::Excluded;
use super::protocol::Protocol;
use super::wire::{Node, ServiceNode, digest};

/// Nodes named in the log at once.
const MAX_NAMED: usize = 16;

/// What has been reported. Each instance is counted once while it is offered, and its node named once.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Digests of what was left out last.
    held: BTreeSet<u64>,
}

/// What was not left out before.
struct News<'a> {
    node: &'a Node,
    first: &'a ServiceNode,
    why: &'static str,
    count: usize,
}

impl LeftOut {
    /// Counts and logs what is left out and was not before.
    pub(super) fn report(&mut self, protocol: &Protocol, counters: &Counters) {
        let before = std::mem::take(&mut self.held);
        let mut news: Vec<News<'_>> = Vec::new();
        let mut is_new = |node: &Node, service: &ServiceNode, why: &str| {
            let (node, key) = (node.text(), service.key());
            let digest = digest(&format!("{node}{key:?}{why}"));
            self.held.insert(digest) && !before.contains(&digest)
        };
        let mut note = |node, first, why| match news.last_mut() {
            Some(news) if news.node == node && news.why == why => news.count += 1,
            _ => news.push(News {
                node,
                first,
                why,
                count: 1,
            }),
        };
        for Excluded { node, service, why } in protocol.directory().excluded(&protocol.acceptance()) {
            if is_new(node, service, why.name()) {
                counters.count_excluded(why);
                note(node, service, why.as_str());
            }
        }
        for (node, service) in protocol.directory().all() {
            if service.meta.is_weight_cut() && is_new(node, service, "weight") {
                counters.count_cut_weight();
                note(node, service, "a weight that is too high, and is cut");
            }
        }
        let further = news.len().saturating_sub(MAX_NAMED);
        for News {
            node,
            first,
            why,
            count,
        } in news.into_iter().take(MAX_NAMED)
        {
            let ServiceNode {
                service,
                zone,
                address,
                port,
                ..
            } = first;
            tracing::warn!(%node, why, service, zone, address, port, count, "discovery: it offers what does not count");
        }
        if further > 0 {
            tracing::warn!(further, "discovery: further nodes offer what does not count");
        }
    }
}
