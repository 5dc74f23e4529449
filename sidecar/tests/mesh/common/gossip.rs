//! A gossiping peer, played by the test.

use sidecar::mesh::protocol::Event;
use sidecar::mesh::wire::{DatagramKind, Gossip, Node, NodeState, Report, ReportedState, Request};

use super::lone::{Lone, local};

/// Gossip of a node that knows the same and reports these as down.
fn gossip(lone: &Lone, down: &[&Node]) -> String {
    let is_down = |node: &&Node| Report {
        endpoint: node.endpoint(),
        state: ReportedState::Down,
    };
    let gossip = Gossip {
        nodes: lone.protocol.membership().digest(),
        services: lone.protocol.directory().digest(),
        reports: down.iter().map(is_down).collect(),
    };
    gossip.text().to_string()
}

/// Delivers gossip of a node, which reports these as down.
pub(crate) fn says(lone: &mut Lone, kind: DatagramKind, node: &Node, down: &[&Node]) {
    let text = gossip(lone, down);
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
    let check = lone.take_list_check(node);
    lone.event(Event::Gossips(node.endpoint()));
    lone.answer(&check, local(node, &[5]));
    assert!(lone.protocol.membership().is_up(node));
}
