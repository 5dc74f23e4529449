//! An idle mesh: no node lists for accidental differences, and probes and searches that are spread over time.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::common::gossip::{bring_up, says};
use crate::common::lone::{Lone, change, local, ms, node};
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::protocol::Event;
use sidecar::mesh::wire::{
    DatagramKind, ExchangeKind, Gossip, Node, NodeState, Report, ReportedState, Request,
};

/// A node with two peers that are up and have had the same digests for a while.
fn settled() -> (Lone, Node, Node) {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    for _ in 0..3 {
        says(&mut lone, DatagramKind::Inform, &other, &[]);
    }
    (lone, other, third)
}

/// Delivers gossip with a different digest, which reports these as down.
fn differs(lone: &mut Lone, by: &Node, lost: &[&Node]) {
    let reports = lost.iter().map(|node| Report {
        endpoint: node.endpoint(),
        state: ReportedState::Down,
    });
    let endpoints = lost.iter().map(|node| node.endpoint());
    let gossip = Gossip {
        nodes: match lost {
            [] => lone.protocol.membership().digest().wrapping_add(1),
            _ => lone.protocol.membership().digest_without(endpoints),
        },
        services: lone.protocol.directory().digest(),
        reports: reports.collect(),
    };
    lone.datagram(DatagramKind::Inform, by, &gossip.text());
}

/// Whether any peer is soon asked for its nodes.
fn asks_for_nodes(lone: &mut Lone) -> bool {
    lone.pass(ms(50));
    let mut asked = lone.asked.iter();
    asked.any(|asked| asked.request.kind() == ExchangeKind::Nodes)
}

#[test]
fn a_peer_that_differs_while_most_match_is_not_asked_for_nodes() {
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
fn an_inform_with_another_hash_while_most_match_asks_for_no_nodes() {
    let (mut lone, other, third) = settled();
    for _ in 0..2 {
        lone.datagram(DatagramKind::Inform, &other, "another");
    }
    assert!(!asks_for_nodes(&mut lone));
    lone.datagram(DatagramKind::Inform, &third, "another");
    assert!(asks_for_nodes(&mut lone));
}

#[test]
fn while_nodes_come_and_go_a_peer_that_differs_is_asked_at_once() {
    let (mut lone, other, _) = settled();
    bring_up(&mut lone, &node("fourth", 4));
    differs(&mut lone, &other, &[]);
    assert!(asks_for_nodes(&mut lone));
}

#[test]
fn a_peer_that_differs_by_nodes_it_reports_down_is_not_asked_for_nodes() {
    let (mut lone, other, third) = settled();
    let fourth = node("fourth", 4);
    bring_up(&mut lone, &fourth);
    for _ in 0..4 {
        differs(&mut lone, &other, &[&third, &fourth]);
    }
    assert!(!asks_for_nodes(&mut lone));
}

/// Takes the gossip that was sent, with its receivers.
fn sent(lone: &mut Lone) -> Vec<(SocketAddr, DatagramKind, Gossip)> {
    let gossip = lone
        .sent
        .extract_if(.., |(_, datagram)| Gossip::parse(&datagram.hash).is_some());
    gossip
        .map(|(to, datagram)| (to, datagram.kind, Gossip::parse(&datagram.hash).unwrap()))
        .collect()
}

/// The probe interval for a hundred peers, 15 s, in steps of [`pass_answered`]. The interval for fewer peers is
/// shorter.
const TURN: u32 = 750;

/// A node with this many peers that have just come up.
fn met(count: u8) -> (Lone, Vec<Node>) {
    let mut lone = Lone::new();
    let others: Vec<Node> = (2..2 + count).map(|host| node("other", host)).collect();
    for other in &others {
        bring_up(&mut lone, other);
    }
    (lone, others)
}

/// A node with this many peers that have been up for several intervals.
fn many(count: u8) -> (Lone, Vec<Node>) {
    let (mut lone, others) = met(count);
    pass_answered(&mut lone, &others, 3 * TURN);
    (lone, others)
}

/// Lets a step pass in which all others answer their probes. Returns the peers that were probed.
fn pass_one(lone: &mut Lone, others: &[Node]) -> Vec<Node> {
    lone.pass(ms(20));
    let probes = sent(lone)
        .into_iter()
        .filter(|(_, kind, _)| *kind == DatagramKind::Search);
    let probed = |to| others.iter().find(|other| other.datagram_address() == to);
    let probed: Vec<Node> = probes.map(|(to, ..)| probed(to).unwrap().clone()).collect();
    for other in &probed {
        says(lone, DatagramKind::Inform, other, &[]);
    }
    probed
}

/// The same for several steps. Returns the number of probes.
fn pass_answered(lone: &mut Lone, others: &[Node], steps: u32) -> usize {
    (0..steps).map(|_| pass_one(lone, others).len()).sum()
}

#[test]
fn a_suspicion_is_rebroadcast_only_after_own_probes_were_missed() {
    let (mut lone, others) = many(30);
    let [suspected, sender, ..] = &others[..] else {
        panic!("{others:?}")
    };
    let report = Report {
        endpoint: suspected.endpoint(),
        state: ReportedState::Suspect,
    };
    while !pass_one(&mut lone, &others).contains(suspected) {}
    // After the silence from which reports count, and before the next probe of the peer, which is due after 4.38 s.
    pass_answered(&mut lone, &others, 3_100 / 20);
    let gossip = Gossip {
        nodes: lone.protocol.membership().digest(),
        services: lone.protocol.directory().digest(),
        reports: vec![report],
    };
    lone.datagram(DatagramKind::Inform, sender, &gossip.text());
    let reports = |sent: &[(SocketAddr, DatagramKind, Gossip)]| {
        sent.iter()
            .filter(|(.., gossip)| !gossip.reports.is_empty())
            .count()
    };
    says(&mut lone, DatagramKind::Search, sender, &[]);
    lone.pass(ms(150));
    let first = sent(&mut lone);
    let probes = first
        .iter()
        .filter(|(to, ..)| *to == suspected.datagram_address());
    assert_eq!(probes.count(), 2, "{first:?}");
    assert_eq!(reports(&first), 0, "{first:?}");

    lone.pass(ms(100));
    let next = sent(&mut lone);
    assert!(reports(&next) > 1, "it is broadcast to several at once: {next:?}");
    says(&mut lone, DatagramKind::Inform, suspected, &[]);
    lone.pass(ms(200));
    assert_eq!(reports(&sent(&mut lone)), 0, "it is alive");
    assert!(lone.protocol.membership().is_up(suspected));
}

fn probes_are_spread(lone: &mut Lone, others: &[Node]) {
    let quarters: Vec<usize> = (0..4).map(|_| pass_answered(lone, others, TURN / 4)).collect();
    assert!(
        quarters.iter().all(|probes| (15..=35).contains(probes)),
        "25 each if spread evenly: {quarters:?}"
    );
}

#[test]
fn probes_of_peers_that_joined_at_once_are_spread() {
    let (mut lone, others) = many(100);
    probes_are_spread(&mut lone, &others);
}

#[test]
fn a_probe_scheduled_in_a_small_mesh_waits_for_the_interval_of_the_large_one() {
    let (mut lone, others) = met(100);
    probes_are_spread(&mut lone, &others);
}

#[test]
fn probes_of_peers_that_another_has_down_are_spread() {
    let (mut lone, others) = many(100);
    // Until most have been silent for a while.
    pass_answered(&mut lone, &others, TURN / 10);
    let down = |other: &Node| NodeState {
        node: other.clone(),
        healthy: false,
    };
    let states = others.iter().map(down).collect();
    lone.serve(&others[0], Request::Nodes(states));
    let probed = pass_one(&mut lone, &others).len();
    assert!(probed > 80, "{probed} are probed at once");
    probes_are_spread(&mut lone, &others);
}

#[test]
fn probes_of_peers_that_were_asked_at_once_are_spread() {
    let (mut lone, others) = many(100);
    for other in &others {
        // Another address sends in its name, so that it is asked itself.
        lone.serve(&node("unverified", 250), Request::Add(change(other, 6)));
    }
    while !lone.asked.is_empty() {
        for asked in std::mem::take(&mut lone.asked) {
            let other = others.iter().find(|other| other.endpoint() == asked.to).unwrap();
            lone.event(Event::Gossips(asked.to));
            lone.answer(&asked, local(other, &[5]));
        }
    }
    probes_are_spread(&mut lone, &others);
}

/// Peers that are up in a large search network, after its first sweep.
fn searching(hosts: std::ops::Range<u8>) -> (Lone, Vec<Node>) {
    let mut lone = Lone::searching(&DiscoverySettings {
        search_mask: 23,
        ..DiscoverySettings::default()
    });
    let others: Vec<Node> = hosts.map(|host| node("other", host)).collect();
    for other in &others {
        bring_up(&mut lone, other);
    }
    // Until the sweep and the pause after it are over.
    pass_answered(&mut lone, &others, 50 * 120);
    lone.sent.clear();
    (lone, others)
}

/// The searches that are not probes, by second, in each of these seconds.
fn searches(lone: &mut Lone, others: &[Node], seconds: usize) -> Vec<Vec<SocketAddr>> {
    let second = |_| {
        pass_answered(lone, others, 50);
        let searches = lone.sent.drain(..);
        searches.map(|(to, _)| to).collect()
    };
    (0..seconds).map(second).collect()
}

#[test]
fn nodes_of_a_large_mesh_share_the_search() {
    let targets = |count: u8| {
        let (mut lone, others) = searching(2..2 + count);
        let searches = searches(&mut lone, &others, 120);
        searches.concat().into_iter().collect::<BTreeSet<_>>().len()
    };
    let (few, many) = (targets(5), targets(200));
    // All 32 near targets, and one of the others per second.
    assert!(few > 132, "{few} targets in two minutes");
    // A sixth of them.
    assert!((20..40).contains(&many), "{many} targets in two minutes");
}

/// The near addresses of a node at 10.0.0.1.
fn near() -> BTreeSet<SocketAddr> {
    (2..=31)
        .map(|host| node("near", host).datagram_address())
        .collect()
}

#[test]
fn a_settled_node_searches_evenly() {
    // Many others share the far addresses, but none is near enough to share the near ones.
    for hosts in [2..7, 40..240] {
        let (mut lone, others) = searching(hosts);
        let searches = searches(&mut lone, &others, 70);
        for (second, targets) in searches.iter().enumerate() {
            assert!(targets.len() < 5, "in second {second}: {targets:?}");
        }
        let all: BTreeSet<SocketAddr> = searches.concat().into_iter().collect();
        let near = near();
        let missing: Vec<_> = near.difference(&all).collect();
        assert!(missing.is_empty(), "not visited in 70 s: {missing:?}");
    }
}

#[test]
fn a_round_under_way_when_a_peer_comes_up_is_not_slowed() {
    let mut lone = Lone::searching(&DiscoverySettings::default());
    lone.pass(ms(30_000));
    let other = node("other", 100);
    bring_up(&mut lone, &other);
    lone.sent.clear();
    // While no peer is up, rounds begin at most about ten seconds apart.
    let searches = searches(&mut lone, &[other], 12).concat();
    let all: BTreeSet<SocketAddr> = searches.into_iter().collect();
    let near = near();
    let missing: Vec<_> = near.difference(&all).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_settled_node_that_searches_all_ports_is_slower_than_at_the_start() {
    let mut lone = Lone::searching(&DiscoverySettings {
        search_min_udp_port: 1,
        search_max_udp_port: u16::MAX,
        search_mask: 28,
        ..DiscoverySettings::default()
    });
    let other = node("other", 2);
    bring_up(&mut lone, &other);
    let mut sent_in_a_second = || {
        lone.sent.clear();
        for _ in 0..5 {
            says(&mut lone, DatagramKind::Inform, &other, &[]);
            lone.pass(ms(200));
        }
        lone.sent.len()
    };
    let start = sent_in_a_second();
    // Each of two rounds over sixteen addresses takes 164 s.
    let settled = (0..340).map(|_| sent_in_a_second()).last().unwrap();
    // One takes a minute longer than at the start.
    assert!(
        settled * 4 < start * 3,
        "{settled} in a second, {start} at the start"
    );
}

#[test]
fn a_node_that_lost_all_peers_searches_as_at_the_start() {
    let (mut lone, others) = searching(2..202);
    for other in &others {
        lone.leaves(other);
    }
    let searches = searches(&mut lone, &[], 2).concat();
    for target in near() {
        let times = searches.iter().filter(|to| **to == target).count();
        assert!(times >= 2, "{target} is visited {times} times: {searches:?}");
    }
    // The 32 near targets twice, and 20 of the others per second.
    assert!(searches.len() > 64 + 30, "{searches:?}");
}
