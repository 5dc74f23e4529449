//! What a node makes of gossip that is forged, and of rumours that are over.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mesh_common;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mesh_common::lone::{Asked, Lone, list, local, ms, node};
use sidecar::mesh::config::Config;
use sidecar::mesh::protocol::{Action, Departure, Event, Failure, Protocol, Search};
use sidecar::mesh::timing::Timing;
use sidecar::mesh::wire::{
    Answer, Datagram, DatagramKind, ExchangeKind, Gossip, Missed, Node, NodeServices, NodeState, Request,
};

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
fn a_strangers_rumours_move_nobody() {
    let mut lone = Lone::new();
    let all: Vec<Node> = (2..14).map(|host| node("n", host)).collect();
    for one in &all {
        bring_up(&mut lone, one);
    }
    lone.pass(ms(390));
    lone.sent.clear();
    lone.asked.clear();
    let stranger = node("stranger", 99);
    says(
        &mut lone,
        DatagramKind::Inform,
        &stranger,
        &all.iter().collect::<Vec<_>>(),
    );
    let pings = lone.sent.len();
    lone.asked.retain(|asked| asked.to != stranger.endpoint());
    assert_eq!(
        (pings, lone.asked.len()),
        (0, 0),
        "datagrams and exchanges for one datagram of a stranger"
    );
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
fn who_is_up_again_is_not_told_to_be_down() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    lose(&mut lone, &third, &other);
    // It introduces itself, as one does that was started again.
    let introduction = Request::Local(NodeServices {
        node: third.clone(),
        khala_nodes: list(&[5]),
    });
    let (_, actions) = lone
        .protocol
        .serve_gossiping(lone.now, third.address(), introduction);
    lone.took(actions);
    assert!(lone.protocol.membership().is_up(&third));
    assert_eq!(told(&mut lone, &other), []);
}

#[test]
fn a_strangers_list_of_the_lost_has_nobody_asked_who_was_heard_lately() {
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
fn whom_a_neighbours_list_has_down_is_pinged_first() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    says(&mut lone, DatagramKind::Inform, &third, &[]);
    lone.pass(ms(375));
    lone.sent.clear();
    lone.asked.clear();
    let down = NodeState {
        node: third.clone(),
        healthy: false,
    };
    lone.serve(&other, Request::Nodes(vec![down]));
    let pinged = lone.sent.iter().any(|(to, _)| *to == third.datagram_address());
    assert!(pinged, "it may be down");
    lone.nothing_asked(&third);
}

#[test]
fn who_was_made_up_makes_place_for_who_speaks_itself() {
    let mut lone = Lone::new();
    let (address, stranger) = (node("n", 66).address(), node("stranger", 99));
    let at = |port| Node::new("n", address, 1, port).unwrap();
    let made_up = (1..=1000).map(|port| NodeState {
        node: at(port),
        healthy: true,
    });
    lone.serve(&stranger, Request::Nodes(made_up.collect()));
    assert_eq!(lone.protocol.membership().members().len(), 64);
    let real = at(31000);
    lone.datagram(DatagramKind::Search, &real, "");
    assert!(lone.is_known(&real));
    assert_eq!(lone.protocol.membership().members().len(), 64);
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
        "{} are known, and it is none of them",
        lone.protocol.membership().members().len()
    );
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

#[test]
fn a_datagram_that_was_not_asked_for_ends_no_connections() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    lone.datagram(DatagramKind::Search, &node("another", 2), "");
    let lost = lone.protocol.instances().lost;
    assert!(lost.is_empty(), "{lost:?}");
}

/// A neighbour that a datagram says to be another is asked, and this is its question.
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
fn who_is_said_to_be_another_says_itself_who_it_is() {
    let (mut lone, other, another) = (Lone::new(), node("other", 2), node("another", 2));
    let asked = contested(&mut lone, &other, &another);
    let answered = lone.sent.iter().any(|(to, datagram)| {
        *to == another.datagram_address() && *datagram.hash == *lone.protocol.membership().hash()
    });
    assert!(answered, "one that does search there is informed as ever");
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
fn who_is_said_to_be_another_and_does_not_answer_is_lost() {
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
    assert_eq!(lone.gone, [(other, Departure::Lost(Failure::Refused))]);
}

/// A mesh of IPv6, whose longest addresses leave room for four in a datagram.
#[test]
fn every_rumour_is_told_as_often_as_any_other() {
    let at = |host: u16| {
        let ip = Ipv6Addr::new(
            0xfd12,
            0x3456,
            0x789a,
            0xbcde,
            0xf012,
            0x3456,
            0x789a,
            0xf000 + host,
        );
        Node::new("n", IpAddr::from(ip), 31000, 31000).unwrap()
    };
    let own = at(0);
    let search = Search::new(
        own.datagram_address(),
        &Config {
            search_mask: 124,
            ..Config::default()
        },
    );
    let mut protocol = Protocol::new(own, search, Timing::default(), 7);
    let mut now = Duration::ZERO;
    let (watcher, lost): (Node, Vec<Node>) = (at(1), (2..14).map(at).collect());
    let introduce = |protocol: &mut Protocol, node: &Node, now| {
        let list = NodeServices {
            node: node.clone(),
            khala_nodes: list(&[]),
        };
        protocol.serve_gossiping(now, node.address(), Request::Local(list));
    };
    for one in lost.iter().chain([&watcher]) {
        introduce(&mut protocol, one, now);
    }
    let mut told: BTreeMap<SocketAddr, usize> = lost.iter().map(|node| (node.endpoint(), 0)).collect();
    let watch = |protocol: &mut Protocol, now| {
        let gossip = Gossip {
            nodes: protocol.membership().digest(),
            services: protocol.directory().digest(),
            missed: Vec::new(),
        };
        let datagram = Datagram {
            kind: DatagramKind::Search,
            node_name: "n".into(),
            udp_port: 31000,
            tcp_port: 31000,
            hash: gossip.text(),
        };
        protocol.handle(
            now,
            Event::Datagram {
                from: watcher.address(),
                datagram,
            },
        )
    };
    for _ in 0..400 {
        now += ms(25);
        let mut actions = protocol.handle(now, Event::Wake);
        if protocol.membership().healthy().len() == 2 || now.as_millis() % 200 == 0 {
            actions.extend(watch(&mut protocol, now));
        }
        for action in actions {
            match action {
                Action::Send { datagram, .. } => {
                    for missed in Gossip::parse(&datagram.hash)
                        .into_iter()
                        .flat_map(|gossip| gossip.missed)
                    {
                        *told.entry(missed.endpoint).or_default() += usize::from(missed.down);
                    }
                }
                Action::Exchange { id, .. } => {
                    let outcome: Result<Answer, Failure> = Err(Failure::Timeout);
                    protocol.handle(now, Event::Answered { id, outcome });
                }
                _ => {}
            }
        }
    }
    assert_eq!(protocol.membership().healthy().len(), 2, "they are down");
    let counts: Vec<usize> = told.values().copied().collect();
    assert!(counts.iter().all(|count| *count >= 7), "told as down: {counts:?}");
}
