//! Search, join, checks and leave, step by step.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::common::lone::{Lone, change, list, local, ms, node};
use sidecar::mesh::protocol::{Departure, Event, Failure};
use sidecar::mesh::wire::{Answer, DatagramKind, ExchangeKind, Node, NodeState, Request};

#[test]
fn the_first_round_goes_out_at_once_and_a_second_soon_after() {
    let mut lone = Lone::new();
    assert_eq!(lone.protocol.next_deadline(), Some(Duration::ZERO));
    lone.bring_up(&node("other", 2), &[]);
    lone.pass(ms(50));
    // A /28 has sixteen addresses, one of which is the node's own. The peer does not gossip, and was sent one more.
    assert_eq!(lone.sent.len(), 16);
    assert!(
        lone.sent
            .iter()
            .all(|(_, datagram)| datagram.kind == DatagramKind::Search)
    );
    lone.pass(ms(300));
    assert_eq!(
        lone.sent.len(),
        31,
        "the first round may have been lost, whether a peer is up or not"
    );
    lone.pass(ms(48_000));
    let later = lone.sent.len() - 31;
    assert!(
        (10..15).contains(&later),
        "with a peer up each address is searched once a minute: {later} in 48 s"
    );
}

#[test]
fn a_node_that_searches_is_informed_and_checked_at_once() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.datagram(DatagramKind::Search, &other, "another hash");
    assert_eq!(lone.sent[0].0, other.datagram_address());
    assert_eq!(lone.sent[0].1.kind, DatagramKind::Inform);
    let check = lone.take_asked(&other);
    lone.answer(&check, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5])));

    lone.sent.clear();
    let hash = lone.protocol.membership().hash();
    lone.datagram(DatagramKind::Search, &other, &hash);
    assert!(lone.sent.is_empty(), "an equal hash needs no answer");
    lone.nothing_asked(&other);
}

#[test]
fn informs_are_limited() {
    let mut lone = Lone::new();
    for n in 0..5_000_u32 {
        let unknown = Node::new("x", Ipv4Addr::from_bits((10 << 24) + n + 2).into(), 1, 1).unwrap();
        lone.datagram(DatagramKind::Search, &unknown, "h");
    }
    let informs = lone
        .sent
        .iter()
        .filter(|(_, datagram)| datagram.kind == DatagramKind::Inform)
        .count();
    assert_eq!(informs, 256);
}

#[test]
fn a_new_node_is_checked_until_it_is_up() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    // It has spoken over TCP, so that it is there.
    lone.serve(&other, Request::Add(change(&other, 5)));
    let mut times = Vec::new();
    for _ in 0..9 {
        let check = lone.take_asked(&other);
        times.push(lone.now);
        lone.fail(&check, Failure::Refused);
        while lone.asked.is_empty() {
            lone.pass(ms(1));
        }
    }
    assert!(times[3] < ms(160), "{times:?}");
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause <= ms(1101)), "{pauses:?}");
    let check = lone.take_asked(&other);
    lone.answer(&check, local(&other, &[]));
    assert!(lone.protocol.membership().is_up(&other));
}

#[test]
fn a_frozen_node_is_checked_again_at_once_and_down_after_three_timeouts() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    lone.pass(ms(450));
    for _ in 0..3 {
        let check = lone.take_asked(&other);
        assert_eq!(check.request.kind(), ExchangeKind::Hash);
        assert!(lone.protocol.membership().is_up(&other));
        lone.pass(ms(500));
        lone.fail(&check, Failure::Timeout);
    }
    assert!(!lone.protocol.membership().is_up(&other));
    assert_eq!(lone.services(&other), None);
    assert_eq!(lone.gone, [(other.clone(), Departure::Down(Failure::Timeout))]);
    assert!(lone.now < ms(2000));
    lone.pass(ms(25));
    lone.take_list_check(&other);
}

#[test]
fn a_peer_that_refuses_is_down_within_a_moment() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.pass(ms(450));
    let first = lone.now;
    for _ in 0..3 {
        let check = lone.take_asked(&other);
        lone.fail(&check, Failure::Refused);
        lone.pass(ms(30));
    }
    assert!(!lone.protocol.membership().is_up(&other));
    assert!(lone.now - first < ms(150));
    assert_eq!(lone.gone, [(other, Departure::Down(Failure::Refused))]);
}

#[test]
fn a_closed_connection_triggers_a_check_at_once() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    assert!(!lone.protocol.keeps_connection(other.endpoint()));
    lone.event(Event::Disconnected(other.endpoint()));
    lone.nothing_asked(&other);

    lone.bring_up(&other, &[5]);
    assert!(lone.protocol.keeps_connection(other.endpoint()));
    lone.nothing_asked(&other);
    lone.event(Event::Disconnected(other.endpoint()));
    for _ in 0..3 {
        let check = lone.take_asked(&other);
        lone.fail(&check, Failure::Refused);
        lone.pass(ms(30));
    }
    assert!(!lone.protocol.membership().is_up(&other));
    assert!(!lone.protocol.keeps_connection(other.endpoint()));

    lone.asked.clear();
    lone.event(Event::Disconnected(other.endpoint()));
    lone.nothing_asked(&other);
}

#[test]
fn connections_are_kept_only_while_the_mesh_is_small() {
    let mut lone = Lone::new();
    let first = node("first", 2);
    lone.bring_up(&first, &[]);
    for host in 3..=33 {
        lone.bring_up(&node("other", host), &[]);
    }
    assert!(lone.protocol.keeps_connection(first.endpoint()));
    lone.bring_up(&node("one over the limit", 34), &[]);
    assert!(!lone.protocol.keeps_connection(first.endpoint()));
}

#[test]
fn a_node_that_answers_under_another_name_replaces_the_peer() {
    let (mut lone, old, new) = (Lone::new(), node("old", 2), node("new", 2));
    lone.datagram(DatagramKind::Search, &old, "");
    let check = lone.take_asked(&old);
    lone.answer(&check, local(&new, &[5]));
    assert!(!lone.is_known(&old));
    assert!(lone.is_known(&new));
    assert_eq!(lone.services(&old), None);
    let check = lone.take_asked(&new);
    lone.answer(&check, local(&new, &[6]));
    assert_eq!(lone.services(&new), Some(&list(&[6])));

    lone.datagram(DatagramKind::Search, &node("newer", 2), "");
    assert!(lone.is_known(&new), "a datagram may be forged");
}

#[test]
fn an_inform_leads_to_a_node_exchange_unless_the_difference_is_gone() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.datagram(DatagramKind::Inform, &other, "it knows more");
    lone.pass(ms(40));
    let exchange = lone.take_asked(&other);
    assert_eq!(exchange.request.kind(), ExchangeKind::Nodes);
    let third = node("third", 3);
    lone.answer(
        &exchange,
        Answer::Nodes(vec![NodeState {
            node: third.clone(),
            healthy: false,
        }]),
    );
    lone.take_asked(&third);

    lone.datagram(DatagramKind::Inform, &other, "it knows more");
    let hash = lone.protocol.membership().hash();
    lone.datagram(DatagramKind::Search, &other, &hash);
    lone.pass(ms(40));
    lone.nothing_asked(&other);
}

#[test]
fn leave_is_sent_to_every_known_node_and_ends_the_node() {
    let mut lone = Lone::new();
    lone.bring_up(&node("other", 2), &[]);
    lone.datagram(DatagramKind::Search, &node("down", 3), "");
    lone.sent.clear();
    lone.event(Event::Leave);
    let receivers: Vec<IpAddr> = lone.sent.iter().map(|(to, _)| to.ip()).collect();
    assert_eq!(receivers, [node("other", 2).address(), node("down", 3).address()]);
    assert!(
        lone.sent
            .iter()
            .all(|(_, d)| d.kind == DatagramKind::Leave && d.hash.is_empty())
    );
    assert_eq!(lone.protocol.next_deadline(), None);
    lone.asked.clear();
    lone.datagram(DatagramKind::Search, &node("new", 4), "");
    lone.serve(&node("new", 4), Request::Add(change(&node("new", 4), 5)));
    assert!(lone.asked.is_empty());
}

#[test]
fn a_leave_counts_only_from_its_own_address_and_name() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    lone.datagram(DatagramKind::Leave, &node("other", 3), "");
    lone.datagram(DatagramKind::Leave, &node("else", 2), "");
    lone.nothing_asked(&other);
    assert!(lone.protocol.membership().is_up(&other));
    lone.leaves(&other);
    assert!(!lone.is_known(&other));
    assert_eq!(lone.services(&other), None);
    assert_eq!(lone.gone, [(other.clone(), Departure::Left)]);
    // Others have not heard of it yet.
    lone.serve(
        &node("third", 3),
        Request::Nodes(vec![NodeState {
            node: other.clone(),
            healthy: true,
        }]),
    );
    assert!(!lone.is_known(&other));
}
