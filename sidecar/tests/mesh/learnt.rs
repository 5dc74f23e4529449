//! Nodes that others name, and that may be made up: which are asked, and how often.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::common::gossip::{bring_up, says};
use crate::common::lone::{Asked, Lone, change, list, local, ms, node, offer};
use sidecar::mesh::protocol::{Event, Failure};
use sidecar::mesh::wire::{Answer, DatagramKind, ExchangeKind, Node, NodeServices, NodeState, Request};

const THIRD_PARTY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn name(lone: &mut Lone, nodes: impl IntoIterator<Item = Node>) {
    let states = nodes.into_iter().map(|node| NodeState { node, healthy: true });
    lone.serve(&node("stranger", 99), Request::Nodes(states.collect()));
}

fn at(address: &str, port: u16) -> Node {
    Node::new("made-up", address.parse().unwrap(), port, port).unwrap()
}

#[test]
fn nodes_at_addresses_that_others_cannot_know_are_neither_asked_nor_known() {
    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "10.0.0.1",
        "::ffff:10.0.0.1",
    ] {
        let mut lone = Lone::new();
        let made_up = at(address, 6379);
        name(&mut lone, [made_up.clone()]);
        lone.pass(ms(5_000));
        assert!(lone.asked.is_empty(), "{address}: {:?}", lone.asked);
        assert!(!lone.is_known(&made_up));
        assert_eq!(lone.left_out, 1, "{address}");
        // The same in other messages.
        let list = NodeServices {
            node: made_up.clone(),
            khala_nodes: list(&[]),
        };
        lone.serve(&node("stranger", 99), Request::Sync(vec![list]));
        assert!(!lone.is_known(&made_up) && lone.asked.is_empty());
    }
}

#[test]
fn a_node_of_another_network_is_asked() {
    let mut lone = Lone::new();
    let far = at("192.0.2.9", 31000);
    name(&mut lone, [far.clone()]);
    lone.take_asked(&far);
}

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let mapped = Node::new("other", "::ffff:10.0.0.2".parse().unwrap(), 31000, 31000).unwrap();
    assert_eq!(mapped, node("other", 2));
    let mut lone = Lone::new();
    lone.bring_up(&node("other", 2), &[5]);
    let from = IpAddr::from(Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped());
    let added = Request::Add(change(&mapped, 6));
    let (_, actions) = lone.protocol.serve(lone.now, from, added);
    lone.took(actions);
    assert_eq!(lone.services(&mapped), Some(&list(&[5, 6])));
}

/// Handles what the node asks for this long; nobody answers. Returns the questions to the third party.
fn unanswered(
    lone: &mut Lone,
    time: Duration,
    failure: Failure,
    mut happens: impl FnMut(&mut Lone),
) -> Vec<Asked> {
    let (end, mut asked) = (lone.now + time, Vec::new());
    let mut under_way: Vec<(Duration, u64)> = Vec::new();
    while lone.now < end {
        happens(lone);
        for question in std::mem::take(&mut lone.asked) {
            let takes = if failure == Failure::Timeout {
                question.timeout
            } else {
                ms(1)
            };
            under_way.push((lone.now + takes, question.id));
            if question.to.ip() == THIRD_PARTY {
                asked.push(question);
            }
        }
        lone.pass(ms(50));
        let now = lone.now;
        for (_, id) in under_way.extract_if(.., |(at, _)| *at <= now) {
            lone.event(Event::Answered {
                id,
                outcome: Err(failure),
            });
        }
    }
    asked
}

fn assert_few(asked: &[Asked], minutes: usize) {
    let bytes: usize = asked.iter().map(|question| question.request.body().len()).sum();
    assert!(!asked.is_empty(), "it is asked, since it may be a node");
    assert!(
        asked.len() <= 3 * minutes && bytes <= 4_096 * minutes,
        "{} questions with {bytes} bytes in {minutes} minutes",
        asked.len()
    );
}

#[test]
fn thousands_of_made_up_nodes_at_one_address_cause_three_questions_a_minute() {
    for failure in [Failure::Refused, Failure::Timeout, Failure::Bad] {
        let mut lone = Lone::new();
        lone.event(Event::Offers((1..=30).map(offer).collect()));
        let mut first = 0;
        let asked = unanswered(&mut lone, ms(119_000), failure, |lone| {
            let ports = first + 1..=first + 40;
            name(
                lone,
                ports.map(|port| Node::new("made-up", THIRD_PARTY, port, port).unwrap()),
            );
            first = (first + 40) % 4_000;
        });
        assert_few(&asked, 2);
    }
}

#[test]
fn forged_datagrams_cause_three_questions_a_minute_as_well() {
    let mut lone = Lone::new();
    let mut port = 0;
    let asked = unanswered(&mut lone, ms(119_000), Failure::Refused, |lone| {
        port = port % 60_000 + 1;
        let forged = Node::new("forged", THIRD_PARTY, 31000, port).unwrap();
        lone.datagram(DatagramKind::Search, &forged, "h");
        lone.datagram(
            DatagramKind::Search,
            &Node::new("same", THIRD_PARTY, 1, 1).unwrap(),
            "h",
        );
    });
    assert_few(&asked, 2);
}

#[test]
fn a_node_that_has_many_services_introduces_itself_by_a_small_question() {
    let mut lone = Lone::new();
    lone.event(Event::Offers((1..=1_000).map(offer).collect()));
    let other = node("other", 2);
    says(&mut lone, DatagramKind::Search, &other, &[]);
    let question = lone.take_asked(&other);
    assert_eq!(question.request.kind(), ExchangeKind::Hash);
    lone.answer(&question, Answer::Hash("b3RoZXI=".into()));
    let introduction = lone.take_asked(&other);
    assert_eq!(introduction.request.kind(), ExchangeKind::Local);
    lone.answer(&introduction, local(&other, &[5]));
    assert!(lone.protocol.membership().is_up(&other));
}

#[test]
fn a_node_that_speaks_itself_is_asked_though_its_address_was_silent() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    name(&mut lone, [other.clone()]);
    let gone = |lone: &mut Lone| {
        for asked in std::mem::take(&mut lone.asked) {
            lone.fail(&asked, Failure::Refused);
        }
        lone.pass(ms(100));
    };
    for _ in 0..100 {
        gone(&mut lone);
    }
    lone.nothing_asked(&other);
    lone.serve(&other, Request::Add(change(&other, 5)));
    lone.take_asked(&other);
}

/// A node that was named by others while it could not be reached, and asked in vain.
fn named_while_out_of_reach(lone: &mut Lone) -> Node {
    let far = Node::new("far", THIRD_PARTY, 31000, 31000).unwrap();
    name(lone, [far.clone()]);
    assert!(!unanswered(lone, ms(20_000), Failure::Timeout, |_| ()).is_empty());
    lone.nothing_asked(&far);
    far
}

#[test]
fn a_node_that_was_asked_in_vain_is_asked_as_soon_as_it_sends_a_datagram() {
    let mut lone = Lone::new();
    let far = named_while_out_of_reach(&mut lone);
    lone.datagram(DatagramKind::Search, &far, "h");
    lone.take_asked(&far);
}

#[test]
fn nodes_that_were_asked_in_vain_are_asked_when_a_partition_ends() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    let far = named_while_out_of_reach(&mut lone);
    assert!(!lone.protocol.membership().is_up(&other));
    let introduction = Request::Local(NodeServices {
        node: other.clone(),
        khala_nodes: list(&[5]),
    });
    let (_, actions) = lone
        .protocol
        .serve_gossiping(lone.now, other.address(), introduction);
    lone.took(actions);
    assert!(lone.protocol.membership().is_up(&other));
    lone.take_asked(&far);
}

#[test]
fn what_others_say_about_a_peer_makes_it_be_asked_once_a_second() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    let mut asked = 0;
    for _ in 0..1_000 {
        lone.serve(&node("stranger", 99), Request::Add(change(&other, 66)));
        while let Some(index) = lone.asked.iter().position(|asked| asked.to == other.endpoint()) {
            let question = lone.asked.remove(index);
            asked += 1;
            lone.serve(&node("stranger", 99), Request::Remove(change(&other, 5)));
            lone.event(Event::Gossips(other.endpoint()));
            lone.answer(&question, local(&other, &[5, 6]));
        }
        says(&mut lone, DatagramKind::Inform, &other, &[]);
        lone.pass(ms(10));
    }
    assert!((9..=12).contains(&asked), "{asked} questions in 10 s");
    assert_eq!(lone.services(&other), Some(&list(&[5, 6])));
}

#[test]
fn datagrams_make_a_peer_that_is_down_be_asked_once_a_second() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    unanswered(&mut lone, ms(10_000), Failure::Refused, |_| ());
    assert!(
        lone.protocol
            .membership()
            .get(other.endpoint())
            .unwrap()
            .is_down()
    );
    let mut asked = 0;
    for _ in 0..1_000 {
        lone.datagram(DatagramKind::Search, &other, "h");
        lone.datagram(DatagramKind::Search, &node("another", 2), "h");
        for question in std::mem::take(&mut lone.asked) {
            asked += 1;
            lone.fail(&question, Failure::Refused);
        }
        lone.pass(ms(10));
    }
    // Its own checks follow each hint after 20, 40, ... ms.
    assert!(asked <= 70, "{asked} questions in 10 s");
}

#[test]
fn forged_datagrams_take_no_instances_of_a_lost_node() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    unanswered(&mut lone, ms(10_000), Failure::Refused, |_| ());
    lone.datagram(DatagramKind::Search, &node("another", 2), "h");
    for port in 1..200 {
        let crowd = Node::new("crowd", other.address(), port, port).unwrap();
        lone.datagram(DatagramKind::Search, &crowd, "h");
    }
    unanswered(&mut lone, ms(60_000), Failure::Refused, |_| ());
    let last_choice = lone.protocol.instances().last_choice;
    assert_eq!(last_choice.values().flatten().count(), 1, "{last_choice:?}");
}

#[test]
fn forged_gossip_stops_no_checks_of_a_peer_that_does_not_gossip() {
    let (mut lone, other) = (Lone::new(), node("original", 2));
    lone.bring_up(&other, &[5]);
    let answer = |lone: &mut Lone| {
        for question in std::mem::take(&mut lone.asked) {
            let answer = match question.request.kind() {
                ExchangeKind::Local => local(&other, &[5]),
                ExchangeKind::Add | ExchangeKind::Remove => Answer::Done,
                _ => Answer::Hash(lone.protocol.directory().hash()),
            };
            lone.answer(&question, answer);
        }
    };
    for _ in 0..300 {
        says(&mut lone, DatagramKind::Search, &other, &[]);
        answer(&mut lone);
        lone.pass(ms(10));
        let peer = lone.protocol.membership().get(other.endpoint()).unwrap();
        assert!(!peer.gossips() && peer.unanswered() == 0, "{:?}", peer.state());
    }
}
