//! A machine that is too busy to answer in time: fewer exchanges, longer timeouts, no redundant exchanges.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::common::gossip::{self, says};
use crate::common::lone::{Asked, Lone, local, ms, node, offer};
use sidecar::mesh::protocol::{Event, Failure};
use sidecar::mesh::wire::{Answer, DatagramKind, ExchangeKind, Node, NodeState, Request};

fn crowd(size: u8) -> Vec<Node> {
    (2..2 + size)
        .map(|host| node(&format!("n{host}"), host))
        .collect()
}

/// Relays these nodes to the node under test.
fn name(lone: &mut Lone, nodes: &[Node]) {
    let states = nodes.iter().map(|node| NodeState {
        node: node.clone(),
        healthy: true,
    });
    lone.serve(&nodes[0], Request::Nodes(states.collect()));
}

fn asked_of(lone: &Lone, kind: ExchangeKind) -> BTreeSet<SocketAddr> {
    let asked = lone.asked.iter().filter(|asked| asked.request.kind() == kind);
    asked.map(|asked| asked.to).collect()
}

#[test]
fn the_join_limit_grows_with_answers() {
    let (mut lone, crowd) = (Lone::new(), crowd(60));
    name(&mut lone, &crowd);
    let first = lone.asked.len();
    assert!((4..=16).contains(&first), "{first} asked at first");
    for asked in std::mem::take(&mut lone.asked) {
        let asked_node = crowd.iter().find(|node| node.endpoint() == asked.to).unwrap();
        lone.answer(&asked, local(asked_node, &[]));
    }
    assert_eq!(lone.asked.len(), 2 * first);
}

#[test]
fn late_answers_extend_timeouts_until_answers_are_quick_again() {
    let (mut lone, crowd) = (Lone::new(), crowd(60));
    name(&mut lone, &crowd);
    let usual = lone.asked[0].timeout;
    let mut before = usual;
    for _ in 0..2 {
        lone.pass(before);
        let late = std::mem::take(&mut lone.asked);
        for asked in late.iter().filter(|asked| asked.timeout == before) {
            lone.fail(asked, Failure::Timeout);
        }
        lone.pass(ms(100));
        let longest = lone.asked.iter().map(|asked| asked.timeout).max().unwrap();
        // However many others are late.
        assert!(
            (2 * before..3 * before).contains(&longest),
            "{longest:?} after {before:?}"
        );
        before = longest;
    }
    for _ in 0..40 {
        lone.pass(ms(100));
        let Some(asked) = lone.asked.pop() else {
            continue;
        };
        let asked_node = crowd.iter().find(|node| node.endpoint() == asked.to).unwrap();
        lone.answer(&asked, local(asked_node, &[]));
    }
    let late = lone.asked.iter().map(|asked| asked.timeout).min().unwrap();
    assert!(late < before, "{late:?} after answers came soon again");
}

#[test]
fn in_a_large_mesh_only_the_initiator_of_a_pair_asks_at_once() {
    let (mut lone, crowd) = (Lone::new(), crowd(100));
    // From this number of nodes on, the mesh is large.
    let (known, new) = crowd.split_at(40);
    name(&mut lone, known);
    while let Some(asked) = lone.asked.pop() {
        let asked_node = known.iter().find(|node| node.endpoint() == asked.to).unwrap();
        lone.answer(&asked, local(asked_node, &[]));
    }
    for node in new {
        lone.datagram(DatagramKind::Search, node, &lone.protocol.membership().hash());
        lone.datagram(DatagramKind::Search, node, &lone.protocol.membership().hash());
        let asked = std::mem::take(&mut lone.asked);
        for asked in asked.iter().filter(|asked| asked.to == node.endpoint()) {
            // All others of this mesh have higher addresses.
            assert!(asked.to.ip().to_string().ends_with(['1', '3', '5', '7', '9']));
            lone.answer(asked, local(node, &[]));
        }
    }
    let up = |lone: &Lone| lone.protocol.membership().healthy().len();
    assert_eq!(up(&lone), 1 + 40 + 30);
    // The others do not ask, and our wait for their requests ends.
    for _ in 0..30 {
        lone.pass(ms(50));
        for asked in std::mem::take(&mut lone.asked) {
            let asked_node = crowd.iter().find(|node| node.endpoint() == asked.to).unwrap();
            if asked.request.kind() != ExchangeKind::Nodes {
                lone.answer(&asked, local(asked_node, &[]));
            }
        }
    }
    assert_eq!(up(&lone), 101);
}

#[test]
fn few_of_many_joining_peers_are_asked_for_their_nodes() {
    let (mut lone, crowd) = (Lone::new(), crowd(100));
    for node in &crowd {
        lone.datagram(DatagramKind::Inform, node, "another");
    }
    let mut asked = BTreeSet::new();
    for _ in 0..20 {
        lone.pass(ms(5));
        asked.extend(asked_of(&lone, ExchangeKind::Nodes));
        for asked in std::mem::take(&mut lone.asked) {
            let asked_node = crowd.iter().find(|node| node.endpoint() == asked.to).unwrap();
            if asked.request.kind() != ExchangeKind::Nodes {
                lone.answer(&asked, local(asked_node, &[]));
            }
        }
    }
    assert!((1..10).contains(&asked.len()), "{} asked", asked.len());
}

#[test]
fn silent_gossiping_peers_do_not_delay_checks_of_others() {
    let mut lone = Lone::new();
    let original = node("original", 2);
    lone.bring_up(&original, &[]);
    let ip = IpAddr::from(Ipv4Addr::new(10, 0, 0, 9));
    let slow: Vec<Node> = (0..60)
        .map(|n| Node::new(&format!("s{n}"), ip, 32000 + n, 32000 + n).unwrap())
        .collect();
    for slow in &slow {
        gossip::bring_up(&mut lone, slow);
    }
    lone.event(Event::Offers(vec![offer(80)]));
    let mut under_way = Vec::new();
    let mut checked = lone.now;
    let mut longest = ms(0);
    for _ in 0..1500 {
        lone.pass(ms(10));
        let now = lone.now;
        for asked in std::mem::take(&mut lone.asked) {
            if asked.to == original.endpoint() {
                longest = longest.max(now - checked);
                checked = now;
                let answer = match asked.request.kind() {
                    ExchangeKind::Hash => Answer::Hash(lone.protocol.directory().hash()),
                    _ => Answer::Done,
                };
                lone.answer(&asked, answer);
            } else {
                under_way.push((now + asked.timeout, asked));
            }
        }
        let (over, rest) = std::mem::take(&mut under_way)
            .into_iter()
            .partition(|(end, _)| *end <= now);
        under_way = rest;
        let over: Vec<(Duration, _)> = over;
        for (_, asked) in over {
            lone.fail(&asked, Failure::Timeout);
        }
        // They are alive, as their probes show.
        for (to, datagram) in std::mem::take(&mut lone.sent) {
            if datagram.kind == DatagramKind::Search
                && let Some(slow) = slow.iter().find(|slow| slow.datagram_address() == to)
            {
                says(&mut lone, DatagramKind::Inform, slow, &[]);
            }
        }
    }
    longest = longest.max(lone.now - checked);
    assert!(longest < ms(1000), "not checked for {longest:?}");
}

#[test]
fn slow_peers_delay_neither_checks_nor_changes_of_others() {
    let mut lone = Lone::new();
    let (original, gossiping) = (node("original", 2), node("gossiping", 3));
    lone.bring_up(&original, &[]);
    gossip::bring_up(&mut lone, &gossiping);
    // At most 64 peers at one address.
    let slow: Vec<Node> = (0..180_u16)
        .map(|n| {
            let ip = IpAddr::from([10, 0, 0, 9 + u8::try_from(n / 60).unwrap()]);
            Node::new(&format!("s{n}"), ip, 32000 + n, 32000 + n).unwrap()
        })
        .collect();
    for slow in &slow {
        gossip::bring_up(&mut lone, slow);
    }
    let mut under_way: Vec<(Duration, Asked)> = Vec::new();
    let (mut checked, mut longest) = (lone.now, ms(0));
    let mut announced = false;
    for step in 0..2000 {
        if step == 500 {
            lone.event(Event::Offers(vec![offer(80)]));
        }
        if step % 100 == 0 {
            says(&mut lone, DatagramKind::Inform, &gossiping, &[]);
            for slow in &slow {
                // They are alive, as their requests show.
                says(&mut lone, DatagramKind::Inform, slow, &[]);
                let another = Node::new("another", slow.address(), slow.udp_port(), slow.tcp_port()).unwrap();
                lone.datagram(DatagramKind::Search, &another, "");
            }
        }
        lone.pass(ms(10));
        let now = lone.now;
        for asked in std::mem::take(&mut lone.asked) {
            if asked.to == original.endpoint() {
                longest = longest.max(now - checked);
                checked = now;
                let answer = match asked.request.kind() {
                    ExchangeKind::Hash => Answer::Hash(lone.protocol.directory().hash()),
                    _ => Answer::Done,
                };
                lone.answer(&asked, answer);
            } else if asked.to == gossiping.endpoint() {
                announced = true;
                lone.event(Event::Gossips(asked.to));
                lone.answer(&asked, Answer::Done);
            } else {
                under_way.push((now + asked.timeout - ms(10), asked));
            }
        }
        for (_, asked) in under_way.extract_if(.., |(end, _)| *end <= now) {
            let slow = slow.iter().find(|slow| slow.endpoint() == asked.to).unwrap();
            lone.event(Event::Gossips(asked.to));
            lone.answer(&asked, local(slow, &[]));
        }
    }
    longest = longest.max(lone.now - checked);
    assert!(longest < ms(1000), "not checked for {longest:?}");
    assert!(announced, "no instance was announced for 15 s");
}

#[test]
fn a_refusal_does_not_extend_timeouts() {
    let (mut lone, crowd) = (Lone::new(), crowd(200));
    name(&mut lone, &crowd);
    let (first, usual) = (lone.asked.len(), lone.asked[0].timeout);
    lone.pass(usual);
    let late = lone.asked.remove(0);
    lone.fail(&late, Failure::Timeout);
    for failure in [Failure::Refused, Failure::Bad].repeat(50) {
        let asked = lone.asked.remove(0);
        lone.fail(&asked, failure);
        assert!(lone.asked.len() <= first, "{} at once", lone.asked.len());
    }
    let shortest = lone.asked.iter().map(|asked| asked.timeout).min().unwrap();
    assert!(
        shortest >= 2 * usual,
        "{shortest:?} after {usual:?} was too short"
    );
}
