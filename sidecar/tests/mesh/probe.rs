//! Probes between gossiping nodes, step by step; other nodes get no gossip.

use crate::common::gossip::{answer_probes, bring_up, says};
use crate::common::lone::{Lone, list, local, ms, node};
use proptest::prelude::*;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::{Departure, Event, Failure};
use sidecar::mesh::wire::{
    Cookie, Datagram, DatagramKind, ExchangeKind, Gossip, Node, NodeServices, Report, ReportedState, Request,
};

/// Takes the gossip sent to a node.
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
fn a_peer_that_does_not_gossip_is_sent_no_gossip() {
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
fn a_probe_is_answered_with_the_digests() {
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
fn a_peer_is_probed_in_turn_and_down_after_missed_probes() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    let mut probes = 0;
    for _ in 0..200 {
        lone.pass(ms(50));
        for (kind, _) in sent_to(&mut lone, &other) {
            assert_eq!(kind, DatagramKind::Search);
            probes += 1;
            says(&mut lone, DatagramKind::Inform, &other, &[]);
        }
    }
    assert!((20..30).contains(&probes), "{probes} probes in 10 s");
    lone.nothing_asked(&other);

    let begin = lone.now;
    while lone.protocol.membership().is_up(&other) {
        lone.pass(ms(10));
    }
    assert!(lone.now - begin < ms(1800), "{:?}", lone.now - begin);
    assert_eq!(lone.gone, [(other.clone(), Departure::Down(Failure::Timeout))]);
    // Its kernel was asked as well, in case datagrams are lost.
    assert_eq!(lone.take_asked(&other).request.kind(), ExchangeKind::Local);
}

#[test]
fn forged_datagrams_do_not_keep_a_dead_peer_up() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    let mut answered = 0;
    for _ in 0..40 {
        lone.pass(ms(50));
        answered += answer_probes(&mut lone, &other);
    }
    assert!(answered > 2, "{answered} probes in 2 s");
    let begin = lone.now;
    for guess in 0.. {
        assert!(
            lone.now - begin < ms(1800),
            "kept up by datagrams that answer no probe"
        );
        says(&mut lone, DatagramKind::Search, &other, &[]);
        let text = Gossip::default().text();
        let cookie = Some(Cookie {
            own: guess,
            returned: guess,
        });
        lone.datagram_with(DatagramKind::Inform, &other, &text, cookie);
        if !lone.protocol.membership().is_up(&other) {
            break;
        }
        lone.pass(ms(10));
    }
    assert_eq!(lone.gone, [(other.clone(), Departure::Down(Failure::Timeout))]);
}

#[test]
fn a_peer_of_a_version_without_cookies_is_kept_up_by_its_datagrams() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    for _ in 0..100 {
        lone.pass(ms(100));
        says(&mut lone, DatagramKind::Search, &other, &[]);
    }
    assert!(lone.protocol.membership().is_up(&other));
    lone.nothing_asked(&other);
}

#[test]
fn a_peer_that_answers_exchanges_is_up_though_datagrams_get_lost() {
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
fn one_lost_probe_costs_no_exchange_despite_a_long_round_trip() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    // The round trip takes 100 ms.
    let mut answers = Vec::new();
    let mut probes = 0;
    for _ in 0..100 {
        lone.pass(ms(10));
        let now = lone.now;
        for _ in answers.extract_if(.., |at| *at <= now) {
            says(&mut lone, DatagramKind::Inform, &other, &[]);
        }
        for _ in sent_to(&mut lone, &other) {
            probes += 1;
            if probes > 1 {
                answers.push(lone.now + ms(100));
            }
        }
    }
    assert!(probes > 2, "{probes} probes");
    lone.nothing_asked(&other);
}

/// Whether a peer that still has these nodes as up, which are down, is asked for its nodes.
fn asks_for_nodes_after_losing(lost: &[Node]) -> bool {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    for lost in lost {
        bring_up(&mut lone, lost);
    }
    let up = Gossip {
        nodes: lone.protocol.membership().digest(),
        services: lone.protocol.directory().digest(),
        reports: Vec::new(),
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
fn a_peer_that_differs_by_the_last_node_down_is_not_asked_for_nodes() {
    let (one, another) = (node("one", 3), node("another", 4));
    assert!(!asks_for_nodes_after_losing(std::slice::from_ref(&one)));
    assert!(asks_for_nodes_after_losing(&[one, another]));
}

#[test]
fn a_suspicion_is_probed_and_broadcast() {
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
    let reports = &sent_to(&mut lone, &other)[0].1.reports;
    assert_eq!(
        reports[..],
        [Report {
            endpoint: third.endpoint(),
            state: ReportedState::Down
        }]
    );

    // A report alone does not take a node down: this one answers.
    lone.pass(ms(10));
    says(&mut lone, DatagramKind::Search, &other, &[&other]);
    assert!(lone.protocol.membership().is_up(&other));
}

#[test]
fn all_peers_across_a_healed_partition_are_asked_at_once() {
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
fn a_peer_that_no_longer_announces_gossip_is_sent_none() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    // An original node of the same name replaces it, and is recognised by the missing header.
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

/// A gossiping node asks for our list and sends its own.
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
fn a_node_that_sends_its_list_is_up_at_once() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    introduce(&mut lone, &other, &node("third", 3));
    assert!(
        !lone.protocol.membership().is_up(&other),
        "the sender has another address"
    );

    let (mut lone, other) = (Lone::new(), node("other", 2));
    introduce(&mut lone, &other, &other);
    assert!(lone.protocol.membership().is_up(&other));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
}

#[test]
fn a_node_that_sent_its_list_is_asked_once_in_a_small_mesh() {
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

/// Fewer than this many reports, of endpoints of one kind of address.
fn reports<A: Arbitrary + Into<std::net::SocketAddr>>(most: usize) -> impl Strategy<Value = Vec<Report>> {
    let report = (any::<A>(), any::<bool>()).prop_map(|(endpoint, down)| Report {
        endpoint: endpoint.into(),
        state: if down {
            ReportedState::Down
        } else {
            ReportedState::Suspect
        },
    });
    proptest::collection::vec(report, 0..most)
}

proptest! {
    #[test]
    fn gossip_round_trips(
        nodes in any::<u64>(), services in any::<u64>(), reports in reports::<std::net::SocketAddrV4>(6),
    ) {
        let gossip = Gossip { nodes, services, reports };
        prop_assert_eq!(Gossip::parse(&gossip.text()), Some(gossip));
    }

    #[test]
    fn gossip_of_any_length_fits_a_datagram(reports in reports::<std::net::SocketAddr>(40)) {
        let gossip = Gossip { reports, ..Gossip::default() };
        let datagram = Datagram {
            kind: DatagramKind::Search,
            node_name: "n".into(),
            udp_port: 1,
            tcp_port: 1,
            hash: gossip.text(),
            cookie: None,
        };
        prop_assert_eq!(Datagram::parse(&datagram.encode()), Ok(datagram));
    }

    #[test]
    fn other_hashes_are_not_gossip(text in "[^#].*|#[^1].*|#1,[g-z]*") {
        prop_assert_eq!(Gossip::parse(&text), None);
    }
}
