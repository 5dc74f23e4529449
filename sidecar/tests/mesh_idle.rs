//! What an idle mesh does not spend on one node that another misses by chance.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mesh_common;

use mesh_common::gossip::{bring_up, says};
use mesh_common::lone::{Lone, ms, node};
use sidecar::mesh::wire::{DatagramKind, ExchangeKind, Gossip, Missed, Node};

/// Two that are up, and have agreed for a while.
fn settled() -> (Lone, Node, Node) {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    for _ in 0..3 {
        says(&mut lone, DatagramKind::Inform, &other, &[]);
    }
    (lone, other, third)
}

/// A node says that it knows others, and misses these.
fn differs(lone: &mut Lone, by: &Node, lost: &[&Node]) {
    let told = lost.iter().map(|node| Missed {
        endpoint: node.endpoint(),
        down: true,
    });
    let endpoints = lost.iter().map(|node| node.endpoint());
    let gossip = Gossip {
        nodes: match lost {
            [] => lone.protocol.membership().digest().wrapping_add(1),
            _ => lone.protocol.membership().digest_without(endpoints),
        },
        services: lone.protocol.directory().digest(),
        missed: told.collect(),
    };
    lone.datagram(DatagramKind::Inform, by, &gossip.text());
}

/// Whether anybody is asked soon whom it knows.
fn asks_for_nodes(lone: &mut Lone) -> bool {
    lone.pass(ms(50));
    let mut asked = lone.asked.iter();
    asked.any(|asked| asked.request.kind() == ExchangeKind::Nodes)
}

#[test]
fn who_differs_while_most_agree_is_not_asked_whom_it_knows() {
    let (mut lone, other, third) = settled();
    for _ in 0..2 {
        differs(&mut lone, &other, &[]);
    }
    assert!(!asks_for_nodes(&mut lone), "two digests that differ");
    says(&mut lone, DatagramKind::Inform, &third, &[]);
    for _ in 0..2 {
        differs(&mut lone, &other, &[]);
    }
    assert!(!asks_for_nodes(&mut lone), "not in a row");
    differs(&mut lone, &third, &[]);
    assert!(asks_for_nodes(&mut lone));
}

#[test]
fn who_answers_a_search_with_another_hash_while_most_agree_is_not_asked_whom_it_knows() {
    let (mut lone, other, third) = settled();
    for _ in 0..2 {
        lone.datagram(DatagramKind::Inform, &other, "another");
    }
    assert!(!asks_for_nodes(&mut lone));
    lone.datagram(DatagramKind::Inform, &third, "another");
    assert!(asks_for_nodes(&mut lone));
}

#[test]
fn while_nodes_come_and_go_who_differs_is_asked_at_once() {
    let (mut lone, other, _) = settled();
    bring_up(&mut lone, &node("fourth", 4));
    differs(&mut lone, &other, &[]);
    assert!(asks_for_nodes(&mut lone));
}

#[test]
fn who_differs_by_those_that_it_says_are_down_is_not_asked_whom_it_knows() {
    let (mut lone, other, third) = settled();
    let fourth = node("fourth", 4);
    bring_up(&mut lone, &fourth);
    for _ in 0..4 {
        differs(&mut lone, &other, &[&third, &fourth]);
    }
    assert!(!asks_for_nodes(&mut lone));
}
