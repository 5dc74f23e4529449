use std::net::IpAddr;

use super::super::peer::{PeerEvent, Source};
use super::*;
use crate::mesh::wire::{Node, Report};

const SECOND: Duration = Duration::from_secs(1);

fn node(host: u8) -> Node {
    Node::new("node", IpAddr::from([10, 0, 0, host]), 31000, 31000).unwrap()
}

fn peer() -> SocketAddr {
    node(2).endpoint()
}

/// The membership of a node with this many peers that are up.
fn membership(peers: u8) -> Membership {
    let mut membership = Membership::new(node(1), Arc::default());
    for host in 2..2 + peers {
        membership.hear(SECOND, &node(host), Source::Direct);
        membership.apply(SECOND, node(host).endpoint(), PeerEvent::Verified);
    }
    membership
}

fn gossip(nodes: u64, services: u64) -> Gossip {
    Gossip {
        nodes,
        services,
        reports: Vec::new(),
    }
}

#[test]
fn nodes_are_repaired_after_three_mismatches_or_at_once_while_nodes_come_and_go() {
    let (mut anti_entropy, ours) = (AntiEntropy::new(Arc::default()), membership(3));
    let differs = gossip(7, 0);
    for expected in [None, None, Some(Repair::Nodes)] {
        assert_eq!(anti_entropy.compare(SECOND, peer(), &differs, &ours, 0), expected);
    }
    let mut anti_entropy = AntiEntropy::new(Arc::default());
    anti_entropy.nodes_changed();
    let repair = anti_entropy.compare(SECOND, peer(), &differs, &ours, 0);
    assert_eq!(repair, Some(Repair::Nodes));
}

#[test]
fn nodes_that_have_just_gone_down_are_no_difference() {
    let mut anti_entropy = AntiEntropy::new(Arc::default());
    anti_entropy.nodes_changed();
    let mut ours = membership(3);
    let before = gossip(ours.digest(), 0);
    let (endpoint, state) = (node(3).endpoint(), ReportedState::Down);
    let without = Gossip {
        nodes: ours.digest_without([endpoint].into_iter()),
        reports: vec![Report { endpoint, state }],
        ..Gossip::default()
    };
    assert_eq!(anti_entropy.compare(SECOND, peer(), &without, &ours, 0), None);
    for _ in 0..3 {
        ours.apply(SECOND, node(4).endpoint(), PeerEvent::CheckFailed);
    }
    assert_ne!(before.nodes, ours.digest());
    assert_eq!(anti_entropy.compare(SECOND, peer(), &before, &ours, 0), None);
}

#[test]
fn lists_are_repaired_after_three_mismatches_and_then_less_and_less_often() {
    let (mut anti_entropy, ours) = (AntiEntropy::new(Arc::default()), membership(1));
    let differs = gossip(ours.digest(), 7);
    let mut repairs = Vec::new();
    for second in 1..20 {
        let now = second * SECOND;
        if anti_entropy.compare(now, peer(), &differs, &ours, 0).is_some() {
            repairs.push(second);
        }
    }
    assert_eq!(repairs, [3, 6, 9, 13]);
    let same = gossip(ours.digest(), 0);
    assert_eq!(anti_entropy.compare(SECOND, peer(), &same, &ours, 0), None);
    let now = 20 * SECOND;
    for expected in [None, None, Some(Repair::Lists(now))] {
        assert_eq!(anti_entropy.compare(now, peer(), &differs, &ours, 0), expected);
    }
}

#[test]
fn node_lists_wait_in_a_large_mesh_and_longer_if_answers_are_late() {
    let mut anti_entropy = AntiEntropy::new(Arc::default());
    let pause = |anti_entropy: &mut AntiEntropy, now: Duration| {
        anti_entropy.nodes_changed();
        anti_entropy.begin_nodes(now, 1_000, false);
        assert!(anti_entropy.may_ask_nodes(now, false));
        (1..200).find(|second| anti_entropy.may_ask_nodes(now + *second * SECOND, true))
    };
    assert_eq!(pause(&mut anti_entropy, SECOND), Some(1));
    anti_entropy.nodes_ended(false);
    anti_entropy.nodes_ended(false);
    assert_eq!(pause(&mut anti_entropy, SECOND), Some(4));
    anti_entropy.nodes_ended(true);
    assert_eq!(pause(&mut anti_entropy, SECOND), Some(2));
}

#[test]
fn a_second_mismatch_of_the_hash_is_repaired_with_growing_pauses() {
    let mut anti_entropy = AntiEntropy::new(Arc::default());
    let mut compare = |second: u32| anti_entropy.compare_hash(second * SECOND, peer(), false);
    assert_eq!(compare(1), HashResult::Differs);
    assert_eq!(compare(2), HashResult::Repair(2 * SECOND));
    anti_entropy.repaired(2 * SECOND, peer());
    let again = anti_entropy.compare_hash(3 * SECOND, peer(), false);
    assert_eq!(again, HashResult::Repair(4 * SECOND));
    assert_eq!(
        anti_entropy.compare_hash(3 * SECOND, peer(), true),
        HashResult::Same
    );
    assert_eq!(
        anti_entropy.compare_hash(3 * SECOND, peer(), false),
        HashResult::Differs
    );
}
