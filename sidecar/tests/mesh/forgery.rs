//! Unverified nodes, and messages forged in the names of peers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::common::gossip::{bring_up, says};
use crate::common::lone::{Asked, Lone, list, local, ms, node};
use sidecar::mesh::protocol::{Departure, Event, Failure};
use sidecar::mesh::wire::{
    Datagram, DatagramKind, ExchangeKind, Gossip, Node, NodeServices, NodeState, Request,
};

#[test]
fn broadcasts_of_an_unverified_node_are_ignored() {
    let mut lone = Lone::new();
    let all: Vec<Node> = (2..14).map(|host| node("n", host)).collect();
    for one in &all {
        bring_up(&mut lone, one);
    }
    lone.pass(ms(390));
    lone.sent.clear();
    lone.asked.clear();
    let unverified = node("unverified", 99);
    says(
        &mut lone,
        DatagramKind::Inform,
        &unverified,
        &all.iter().collect::<Vec<_>>(),
    );
    let probes = lone.sent.len();
    lone.asked.retain(|asked| asked.to != unverified.endpoint());
    assert_eq!(
        (probes, lone.asked.len()),
        (0, 0),
        "datagrams and exchanges for one datagram of an unverified node"
    );
}

#[test]
fn a_list_from_an_unknown_address_probes_no_peer_that_was_heard_lately() {
    let mut lone = Lone::new();
    let all: Vec<Node> = (2..102).map(|host| node("n", host)).collect();
    for one in &all {
        bring_up(&mut lone, one);
    }
    for _ in 0..2 {
        lone.pass(ms(200));
    }
    lone.sent.clear();
    lone.asked.clear();
    let states = all
        .iter()
        .map(|node| NodeState {
            node: node.clone(),
            healthy: false,
        })
        .collect();
    lone.serve(&node("cut-off", 200), Request::Nodes(states));
    assert_eq!(
        (lone.sent.len(), lone.asked.len()),
        (0, 0),
        "datagrams and exchanges for one request"
    );
}

#[test]
fn a_peer_that_another_list_has_down_is_probed_first() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    let is_ping = |(to, datagram): &(SocketAddr, Datagram)| {
        *to == third.datagram_address() && Gossip::parse(&datagram.hash).is_some()
    };
    while !lone.sent.iter().any(is_ping) {
        lone.pass(ms(10));
    }
    says(&mut lone, DatagramKind::Inform, &third, &[]);
    lone.pass(ms(375));
    lone.sent.clear();
    lone.asked.clear();
    let down = NodeState {
        node: third.clone(),
        healthy: false,
    };
    lone.serve(&other, Request::Nodes(vec![down]));
    let probed = lone.sent.iter().any(|(to, _)| *to == third.datagram_address());
    assert!(probed, "it may be down");
    lone.nothing_asked(&third);
}

#[test]
fn relayed_nodes_make_room_for_direct_ones() {
    let mut lone = Lone::new();
    let (address, unverified) = (node("n", 66).address(), node("unverified", 99));
    let at = |port| Node::new("n", address, 1, port).unwrap();
    let made_up = (1..=1000).map(|port| NodeState {
        node: at(port),
        healthy: true,
    });
    lone.serve(&unverified, Request::Nodes(made_up.collect()));
    assert_eq!(lone.protocol.membership().peers().len(), 64);
    let real = at(31000);
    lone.datagram(DatagramKind::Search, &real, "");
    assert!(lone.is_known(&real));
    assert_eq!(lone.protocol.membership().peers().len(), 64);
}

/// The time at which a node is first asked while no node answers; calls `happens` every 10 ms for ten seconds.
fn asked_first(lone: &mut Lone, of: &Node, mut happens: impl FnMut(&mut Lone, u32)) -> Option<Duration> {
    let mut under_way: Vec<(Duration, Asked)> = Vec::new();
    for step in 0..1000 {
        happens(lone, step);
        for asked in std::mem::take(&mut lone.asked) {
            if asked.to == of.endpoint() {
                return Some(lone.now);
            }
            under_way.push((lone.now + asked.timeout, asked));
        }
        lone.pass(ms(10));
        let now = lone.now;
        for (_, asked) in under_way.extract_if(.., |(end, _)| *end <= now) {
            lone.fail(&asked, Failure::Timeout);
        }
    }
    None
}

fn name(lone: &mut Lone, nodes: &[Node]) {
    let states = nodes.iter().map(|node| NodeState {
        node: node.clone(),
        healthy: true,
    });
    lone.serve(&node("unverified", 99), Request::Nodes(states.collect()));
}

#[test]
fn direct_nodes_are_asked_soon_however_many_relayed_ones_do_not_answer() {
    let dead: Vec<Node> = (100..200).map(|host| node("dead", host)).collect();
    let original = node("original", 3);
    // Whether it was relayed before does not matter.
    for named in [true, false] {
        let mut lone = Lone::new();
        name(&mut lone, &dead);
        if named {
            name(&mut lone, std::slice::from_ref(&original));
        }
        let asked = asked_first(&mut lone, &original, |lone, step| {
            if step == 500 {
                lone.datagram(DatagramKind::Search, &original, "");
            }
        });
        assert!(asked.is_some_and(|at| at < ms(6000)), "asked after {asked:?}");
    }
}

#[test]
fn relayed_nodes_are_asked_however_many_direct_ones_do_not_answer() {
    let (mut lone, named) = (Lone::new(), node("named", 3));
    let asked = asked_first(&mut lone, &named, |lone, step| {
        let forged = node("forged", 100 + u8::try_from(step % 100).unwrap());
        lone.datagram(DatagramKind::Search, &forged, "");
        if step == 500 {
            name(lone, std::slice::from_ref(&named));
        }
    });
    assert!(asked.is_some(), "not asked");
}

#[test]
fn one_address_does_not_fill_the_table() {
    let mut lone = Lone::new();
    let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, 66));
    for port in 1..5000 {
        let node = Node::new("x", address, 1, port).unwrap();
        let introduction = Request::Local(NodeServices {
            node,
            khala_nodes: list(&[]),
        });
        let (_, actions) = lone.protocol.serve_gossiping(lone.now, address, introduction);
        lone.took(actions);
    }
    let other = node("other", 2);
    lone.datagram(DatagramKind::Search, &other, "");
    assert!(
        lone.is_known(&other),
        "{} nodes are known, without it",
        lone.protocol.membership().peers().len()
    );
}

#[test]
fn answers_to_gossip_are_limited() {
    let (mut lone, unverified) = (Lone::new(), node("s", 99));
    for _ in 0..10_000 {
        lone.datagram(DatagramKind::Search, &unverified, "#1,0,0");
    }
    let answers = lone.sent.len();
    assert!(answers <= 256, "{answers} answers within one moment");
}

#[test]
fn an_unsolicited_datagram_closes_no_connections() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    lone.datagram(DatagramKind::Search, &node("another", 2), "");
    let replaced = lone.protocol.instances().replaced;
    assert!(replaced.is_empty(), "{replaced:?}");
}

/// The request to a peer after a datagram claims that another node is at its endpoint.
fn contested(lone: &mut Lone, other: &Node, another: &Node) -> Asked {
    bring_up(lone, other);
    for _ in 0..5 {
        lone.pass(ms(300));
        says(lone, DatagramKind::Inform, other, &[]);
    }
    lone.nothing_asked(other);
    lone.datagram(DatagramKind::Search, another, "");
    assert!(lone.protocol.membership().is_up(other));
    let asked = lone.take_asked(other);
    assert_eq!(asked.request.kind(), ExchangeKind::Local);
    asked
}

#[test]
fn a_contested_endpoint_is_asked_for_its_identity() {
    let (mut lone, other, another) = (Lone::new(), node("other", 2), node("another", 2));
    let asked = contested(&mut lone, &other, &another);
    let answered = lone.sent.iter().any(|(to, datagram)| {
        *to == another.datagram_address() && *datagram.hash == *lone.protocol.membership().hash()
    });
    assert!(answered, "a search from there is still answered");
    lone.event(Event::Gossips(other.endpoint()));
    lone.answer(&asked, local(&other, &[5]));
    assert!(lone.protocol.membership().is_up(&other));
    assert_eq!(lone.gone, []);
    lone.datagram(DatagramKind::Search, &another, "");
    lone.nothing_asked(&other);

    let mut lone = Lone::new();
    let asked = contested(&mut lone, &other, &another);
    lone.event(Event::Gossips(other.endpoint()));
    lone.answer(&asked, local(&another, &[6]));
    assert_eq!(lone.gone, [(other, Departure::Replaced)]);
    let check = lone.take_asked(&another);
    lone.answer(&check, local(&another, &[6]));
    assert_eq!(lone.services(&another), Some(&list(&[6])));
}

#[test]
fn a_contested_endpoint_that_does_not_answer_is_down() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    let mut asked = contested(&mut lone, &other, &node("another", 2));
    loop {
        lone.fail(&asked, Failure::Refused);
        if !lone.protocol.membership().is_up(&other) {
            break;
        }
        lone.pass(ms(110));
        asked = lone.take_asked(&other);
    }
    assert_eq!(lone.gone, [(other, Departure::Down(Failure::Refused))]);
}
