//! Broadcasts of peers that are down: each is transmitted a limited number of times, and only while it is true.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::common::gossip::{bring_up, says};
use crate::common::lone::{Lone, list, ms, node};
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::{Action, Event, Failure, Protocol, Search};
use sidecar::mesh::wire::{
    Answer, Datagram, DatagramKind, Gossip, Node, NodeServices, Report, ReportedState, Request,
};

fn broadcasts_to(lone: &mut Lone, by: &Node) -> Vec<Report> {
    lone.sent.clear();
    says(lone, DatagramKind::Search, by, &[]);
    let sent = lone.sent.iter().find(|(to, _)| *to == by.datagram_address());
    Gossip::parse(&sent.unwrap().1.hash).unwrap().reports
}

/// Takes `third` down while `other` is up.
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
fn probes_of_unverified_nodes_consume_no_broadcast() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    lose(&mut lone, &third, &other);
    for host in 50..80 {
        says(&mut lone, DatagramKind::Search, &node("unverified", host), &[]);
    }
    assert_eq!(
        broadcasts_to(&mut lone, &other).len(),
        1,
        "the peer has not received it before"
    );
}

#[test]
fn a_peer_that_is_up_again_is_not_broadcast_as_down() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    bring_up(&mut lone, &other);
    bring_up(&mut lone, &third);
    lose(&mut lone, &third, &other);
    // It sends its list, as a restarted node does.
    let introduction = Request::Local(NodeServices {
        node: third.clone(),
        khala_nodes: list(&[5]),
    });
    let (_, actions) = lone
        .protocol
        .serve_gossiping(lone.now, third.address(), introduction);
    lone.took(actions);
    assert!(lone.protocol.membership().is_up(&third));
    assert_eq!(broadcasts_to(&mut lone, &other), []);
}

/// A mesh on IPv6, whose longest addresses leave room for four broadcasts in a datagram.
#[test]
fn all_broadcasts_are_transmitted_equally_often() {
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
        &DiscoverySettings {
            search_mask: 124,
            ..DiscoverySettings::default()
        },
    );
    let mut protocol = Protocol::new(own, search, Config::default(), 7);
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
    let mut transmissions: BTreeMap<SocketAddr, usize> =
        lost.iter().map(|node| (node.endpoint(), 0)).collect();
    let watch = |protocol: &mut Protocol, now| {
        let gossip = Gossip {
            nodes: protocol.membership().digest(),
            services: protocol.directory().digest(),
            reports: Vec::new(),
        };
        let datagram = Datagram {
            kind: DatagramKind::Search,
            node_name: "n".into(),
            udp_port: 31000,
            tcp_port: 31000,
            hash: gossip.text(),
            cookie: None,
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
        if protocol.membership().healthy().len() == 2 || now.as_millis().is_multiple_of(200) {
            actions.extend(watch(&mut protocol, now));
        }
        for action in actions {
            match action {
                Action::Send { datagram, .. } => {
                    for report in Gossip::parse(&datagram.hash)
                        .into_iter()
                        .flat_map(|gossip| gossip.reports)
                    {
                        *transmissions.entry(report.endpoint).or_default() +=
                            usize::from(report.state == ReportedState::Down);
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
    assert_eq!(protocol.membership().healthy().len(), 2, "both are down");
    let counts: Vec<usize> = transmissions.values().copied().collect();
    assert!(
        counts.iter().all(|count| *count >= 7),
        "broadcast as down: {counts:?}"
    );
}
