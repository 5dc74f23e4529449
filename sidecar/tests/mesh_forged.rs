//! What a node makes of gossip that is forged, and of rumours that are over.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mesh_common;

use mesh_common::lone::{Lone, local, ms, node};
use sidecar::mesh::protocol::{Event, Failure};
use sidecar::mesh::wire::{DatagramKind, Gossip, Missed, Node};

fn gossip(lone: &Lone, missed: &[&Node]) -> String {
    let missed = missed
        .iter()
        .map(|node| Missed {
            endpoint: node.endpoint(),
            down: true,
        })
        .collect();
    let gossip = Gossip {
        nodes: lone.protocol.membership().digest(),
        services: lone.protocol.directory().digest(),
        missed,
    };
    gossip.text().to_string()
}

fn says(lone: &mut Lone, kind: DatagramKind, node: &Node, missed: &[&Node]) {
    let text = gossip(lone, missed);
    lone.datagram(kind, node, &text);
}

fn bring_up(lone: &mut Lone, node: &Node) {
    lone.datagram(DatagramKind::Search, node, "");
    let check = lone.take_asked(node);
    lone.event(Event::Gossips(node.endpoint()));
    lone.answer(&check, local(node, &[5]));
    assert!(lone.protocol.membership().is_up(node));
}

fn told(lone: &mut Lone, by: &Node) -> Vec<Missed> {
    lone.sent.clear();
    says(lone, DatagramKind::Search, by, &[]);
    let sent = lone.sent.iter().find(|(to, _)| *to == by.datagram_address());
    Gossip::parse(&sent.unwrap().1.hash).unwrap().missed
}

/// Takes `third` down with `other` looking on.
fn lose(lone: &mut Lone, third: &Node, other: &Node) {
    while lone.protocol.membership().is_up(third) {
        lone.pass(ms(50));
        for asked in std::mem::take(&mut lone.asked) {
            lone.fail(&asked, Failure::Timeout);
        }
        says(lone, DatagramKind::Inform, other, &[]);
    }
}

#[test]
fn a_stranger_uses_no_rumour_up() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    lose(&mut lone, &third, &other);
    for host in 50..80 {
        says(&mut lone, DatagramKind::Search, &node("stranger", host), &[]);
    }
    assert_eq!(told(&mut lone, &other).len(), 1, "the neighbour was never told");
}

#[test]
fn answers_to_gossip_are_as_few_as_others() {
    let (mut lone, stranger) = (Lone::new(), node("s", 99));
    for _ in 0..10_000 {
        lone.datagram(DatagramKind::Search, &stranger, "#1,0,0");
    }
    let answers = lone.sent.len();
    assert!(answers <= 256, "{answers} answers within one moment");
}
