//! A gossiping peer, played by the test.

use sidecar::mesh::protocol::Event;
use sidecar::mesh::wire::{
    Cookie, Datagram, DatagramKind, Gossip, Node, NodeState, Report, ReportedState, Request,
};

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

/// Answers the probes that were sent to a node since the last call, with the cookies in them. Returns how many.
pub(crate) fn answer_probes(lone: &mut Lone, node: &Node) -> usize {
    let address = node.datagram_address();
    let is_probe = |(to, datagram): &mut (_, Datagram)| {
        *to == address && datagram.kind == DatagramKind::Search && datagram.cookie.is_some()
    };
    let probes: Vec<_> = lone.sent.extract_if(.., is_probe).collect();
    for (_, probe) in &probes {
        let cookie = probe.cookie.map(|cookie| Cookie {
            own: 7,
            returned: cookie.own,
        });
        let text = gossip(lone, &[]);
        lone.datagram_with(DatagramKind::Inform, node, &text, cookie);
    }
    probes.len()
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
