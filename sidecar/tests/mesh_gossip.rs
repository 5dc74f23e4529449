//! How nodes of our own kind look after each other, step by step; and that others are left alone with it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mesh_common;

use mesh_common::gossip::{bring_up, says};
use mesh_common::lone::{Lone, list, local, ms, node};
use proptest::prelude::*;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::{Departure, Event, Failure};
use sidecar::mesh::wire::{
    Datagram, DatagramKind, ExchangeKind, Gossip, Node, NodeServices, Request, Suspect,
};

/// The gossip sent to a node, which is taken.
fn sent_to(lone: &mut Lone, node: &Node) -> Vec<(DatagramKind, Gossip)> {
    let (theirs, others) = std::mem::take(&mut lone.sent)
        .into_iter()
        .partition(|(to, datagram)| {
            *to == node.datagram_address() && Gossip::parse(&datagram.hash).is_some()
        });
    lone.sent = others;
    let theirs: Vec<(_, Datagram)> = theirs;
    theirs
        .into_iter()
        .map(|(_, datagram)| (datagram.kind, Gossip::parse(&datagram.hash).unwrap()))
        .collect()
}

#[test]
fn who_does_not_gossip_is_never_sent_any() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    for _ in 0..20 {
        lone.pass(ms(500));
        for asked in std::mem::take(&mut lone.asked) {
            let hash = lone.protocol.directory().hash();
            lone.answer(&asked, sidecar::mesh::wire::Answer::Hash(hash));
        }
    }
    assert!(lone.protocol.membership().is_up(&other));
    assert_eq!(sent_to(&mut lone, &other), []);
}

#[test]
fn a_ping_is_answered_with_the_digests() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    says(&mut lone, DatagramKind::Search, &other, &[]);
    let sent = sent_to(&mut lone, &other);
    let [(DatagramKind::Inform, answer)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(answer.nodes, lone.protocol.membership().digest());
    assert_eq!(answer.services, lone.protocol.directory().digest());
}

#[test]
fn a_neighbour_is_pinged_in_turn_and_down_when_it_misses_several() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    let mut pings = 0;
    for _ in 0..200 {
        lone.pass(ms(50));
        for (kind, _) in sent_to(&mut lone, &other) {
            assert_eq!(kind, DatagramKind::Search);
            pings += 1;
            says(&mut lone, DatagramKind::Inform, &other, &[]);
        }
    }
    assert!((20..30).contains(&pings), "{pings} pings in 10 s");
    lone.nothing_asked(&other);

    let begin = lone.now;
    while lone.protocol.membership().is_up(&other) {
        lone.pass(ms(10));
    }
    assert!(lone.now - begin < ms(1800), "{:?}", lone.now - begin);
    assert_eq!(lone.gone, [(other.clone(), Departure::Down(Failure::Timeout))]);
    // Its kernel was asked as well, in case datagrams do not get through.
    assert_eq!(lone.take_asked(&other).request.kind(), ExchangeKind::Local);
}

#[test]
fn who_answers_exchanges_is_up_though_datagrams_get_lost() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    for _ in 0..100 {
        lone.pass(ms(100));
        for asked in std::mem::take(&mut lone.asked) {
            lone.event(Event::Gossips(other.endpoint()));
            lone.answer(&asked, local(&other, &[5]));
        }
    }
    assert!(lone.protocol.membership().is_up(&other));
}

#[test]
fn one_lost_ping_costs_no_exchange_though_the_way_is_long() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    // The way there and back takes 100 ms.
    let mut answers = Vec::new();
    let mut pings = 0;
    for _ in 0..100 {
        lone.pass(ms(10));
        let now = lone.now;
        for _ in answers.extract_if(.., |at| *at <= now) {
            says(&mut lone, DatagramKind::Inform, &other, &[]);
        }
        for _ in sent_to(&mut lone, &other) {
            pings += 1;
            if pings > 1 {
                answers.push(lone.now + ms(100));
            }
        }
    }
    assert!(pings > 2, "{pings} pings");
    lone.nothing_asked(&other);
}

/// Whether one is asked whom it knows that still has these up, which are no longer.
fn asks_for_nodes_after_losing(lost: &[Node]) -> bool {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    for lost in lost {
        bring_up(&mut lone, lost);
    }
    let up = Gossip {
        nodes: lone.protocol.membership().digest(),
        services: lone.protocol.directory().digest(),
        suspects: Vec::new(),
    };
    for _ in 0..30 {
        lone.pass(ms(100));
        let held = lone.protocol.membership().healthy().len();
        if held == 2 {
            lone.datagram(DatagramKind::Inform, &other, &up.text());
        } else {
            says(&mut lone, DatagramKind::Inform, &other, &[]);
        }
    }
    assert_eq!(lone.protocol.membership().healthy().len(), 2);
    let mut kinds = lone.asked.iter().map(|asked| asked.request.kind());
    kinds.any(|kind| kind == ExchangeKind::Nodes)
}

#[test]
fn who_differs_by_the_one_that_was_lost_last_is_not_asked_whom_it_knows() {
    let (one, another) = (node("one", 3), node("another", 4));
    assert!(!asks_for_nodes_after_losing(std::slice::from_ref(&one)));
    assert!(asks_for_nodes_after_losing(&[one, another]));
}

#[test]
fn a_doubt_is_looked_into_and_told_to_the_next() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    for _ in 0..40 {
        lone.pass(ms(100));
        for asked in std::mem::take(&mut lone.asked) {
            assert_eq!(asked.to, third.endpoint());
            lone.fail(&asked, Failure::Timeout);
        }
        says(&mut lone, DatagramKind::Inform, &other, &[]);
        if lone.now < ms(500) {
            says(&mut lone, DatagramKind::Inform, &third, &[]);
        }
    }
    assert!(!lone.protocol.membership().is_up(&third));
    sent_to(&mut lone, &other);
    says(&mut lone, DatagramKind::Search, &other, &[]);
    let told = &sent_to(&mut lone, &other)[0].1.suspects;
    assert_eq!(
        told[..],
        [Suspect {
            endpoint: third.endpoint(),
            down: true
        }]
    );

    // Nobody is believed that a node is gone: this one answers.
    lone.pass(ms(10));
    says(&mut lone, DatagramKind::Search, &other, &[&other]);
    assert!(lone.protocol.membership().is_up(&other));
}

#[test]
fn many_that_were_cut_off_are_asked_at_once_when_they_are_back() {
    let mut lone = Lone::new();
    let others: Vec<Node> = (2..42).map(|host| node("other", host)).collect();
    for other in &others {
        bring_up(&mut lone, other);
    }
    for _ in 0..30 {
        let asked = std::mem::take(&mut lone.asked);
        lone.pass(ms(500));
        for asked in asked {
            lone.fail(&asked, Failure::Timeout);
        }
    }
    assert_eq!(lone.gone.len(), others.len());
    lone.asked.clear();
    for other in &others {
        says(&mut lone, DatagramKind::Search, other, &[]);
    }
    for other in &others {
        assert_eq!(lone.take_asked(other).request.kind(), ExchangeKind::Local);
    }
}

#[test]
fn who_no_longer_says_that_it_gossips_is_left_alone_with_it() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    // The original takes its place under its name, and is found when it does not answer as before.
    while lone.asked.is_empty() {
        lone.pass(ms(50));
    }
    sent_to(&mut lone, &other);
    let asked = lone.take_asked(&other);
    lone.answer(&asked, local(&other, &[5]));
    for _ in 0..20 {
        lone.pass(ms(200));
        for asked in std::mem::take(&mut lone.asked) {
            let hash = lone.protocol.directory().hash();
            lone.answer(&asked, sidecar::mesh::wire::Answer::Hash(hash));
        }
    }
    assert_eq!(sent_to(&mut lone, &other), []);
    assert!(lone.protocol.membership().is_up(&other));
}

/// A node of our own kind asks for our list and brings its own.
fn introduce(lone: &mut Lone, node: &Node, from: &Node) {
    let introduction = Request::Local(NodeServices {
        node: node.clone(),
        khala_nodes: list(&[5]),
    });
    let (_, actions) = lone
        .protocol
        .serve_gossiping(lone.now, from.address(), introduction);
    lone.took(actions);
}

#[test]
fn who_introduces_itself_is_up_at_once() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    introduce(&mut lone, &other, &node("third", 3));
    assert!(!lone.protocol.membership().is_up(&other), "somebody else spoke");

    let (mut lone, other) = (Lone::new(), node("other", 2));
    introduce(&mut lone, &other, &other);
    assert!(lone.protocol.membership().is_up(&other));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
}

#[test]
fn who_introduced_itself_is_asked_once_where_connections_are_kept() {
    let mut lone = Lone::new();
    let others: Vec<Node> = (2..=40).map(|host| node("other", host)).collect();
    for (before, other) in others.iter().enumerate() {
        introduce(&mut lone, other, other);
        if before < Config::default().small_mesh {
            let asked = lone.take_asked(other);
            introduce(&mut lone, other, other);
            lone.answer(&asked, local(other, &[5]));
        }
        lone.nothing_asked(other);
    }
}

proptest! {
    #[test]
    fn gossip_survives_its_text(
        nodes in any::<u64>(), services in any::<u64>(), suspects in proptest::collection::vec(any::<(std::net::SocketAddrV4, bool)>(), 0..6),
    ) {
        let suspects = suspects.into_iter().map(|(endpoint, down)| Suspect { endpoint: endpoint.into(), down }).collect();
        let gossip = Gossip { nodes, services, suspects };
        prop_assert_eq!(Gossip::parse(&gossip.text()), Some(gossip));
    }

    #[test]
    fn gossip_of_any_length_goes_into_a_datagram(suspects in proptest::collection::vec(any::<(std::net::SocketAddr, bool)>(), 0..40)) {
        let suspects = suspects.into_iter().map(|(endpoint, down)| Suspect { endpoint, down }).collect();
        let gossip = Gossip { suspects, ..Gossip::default() };
        let datagram = Datagram {
            kind: DatagramKind::Search,
            node_name: "n".into(),
            udp_port: 1,
            tcp_port: 1,
            hash: gossip.text(),
        };
        prop_assert_eq!(Datagram::parse(&datagram.encode()), Ok(datagram));
    }

    #[test]
    fn any_other_text_is_no_gossip(text in "[^#].*|#[^1].*|#1,[g-z]*") {
        prop_assert_eq!(Gossip::parse(&text), None);
    }
}
