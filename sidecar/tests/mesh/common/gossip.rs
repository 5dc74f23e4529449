//! A gossiping peer, played by the test.

use sidecar::mesh::protocol::Event;
use sidecar::mesh::wire::{DatagramKind, Gossip, Node, NodeState, Request, Suspect};

use super::lone::{Lone, local};

/// Gossip of a node that knows the same and reports these as down.
fn gossip(lone: &Lone, suspects: &[&Node]) -> String {
    let is_missed = |node: &&Node| Suspect {
        endpoint: node.endpoint(),
        down: true,
    };
    let gossip = Gossip {
        nodes: lone.protocol.membership().digest(),
        services: lone.protocol.directory().digest(),
        suspects: suspects.iter().map(is_missed).collect(),
    };
    gossip.text().to_string()
}

/// Delivers gossip of a node.
pub(crate) fn says(lone: &mut Lone, kind: DatagramKind, node: &Node, suspects: &[&Node]) {
    let text = gossip(lone, suspects);
    lone.datagram(kind, node, &text);
}

/// Brings up a peer that gossips.
pub(crate) fn bring_up(lone: &mut Lone, node: &Node) {
    // Relayed: a node that sends a datagram itself may be left to ask first.
    let state = NodeState {
        node: node.clone(),
        healthy: true,
    };
    lone.serve(node, Request::Nodes(vec![state]));
    let check = lone.take_asked(node);
    lone.event(Event::Gossips(node.endpoint()));
    lone.answer(&check, local(node, &[5]));
    assert!(lone.protocol.membership().is_up(node));
}
