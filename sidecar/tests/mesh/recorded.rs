//! An original refuses messages about nodes that it does not record, and logs an error for each. It records a node only
//! after checks of its own, seconds after it has heard of it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sidecar::mesh::protocol::{Event, Failure};
use sidecar::mesh::wire::{Answer, DatagramKind, ExchangeKind, Node, NodeServices, NodeState, Request};

use crate::common::gossip;
use crate::common::lone::{Lone, list, local, ms, node, offer};

/// An original as a peer: the nodes that it records, itself included, and the errors that it would log.
struct Original {
    node: Node,
    ports: Vec<u16>,
    recorded: Vec<Node>,
    errors: usize,
}

impl Original {
    fn new(host: u8, ports: &[u16]) -> Self {
        let node = node("original", host);
        Self {
            recorded: vec![node.clone()],
            node,
            ports: ports.to_vec(),
            errors: 0,
        }
    }

    /// The text of the nodes that it records. Only its own services are in it, and those of our node as `ours`.
    fn hash(&self, lone: &Lone, ours: &[u16]) -> String {
        let mut nodes = self.recorded.clone();
        nodes.sort();
        let mut text = String::new();
        for node in &nodes {
            let (udp, tcp) = (node.udp_port(), node.tcp_port());
            text += &format!("{},{},{udp},{tcp},", node.name(), node.address());
            let ports = match node {
                node if *node == self.node => &self.ports[..],
                node if node == lone.protocol.membership().own() => ours,
                _ => &[],
            };
            for service in list(ports).iter() {
                text += &format!(
                    "{},{},{},{},",
                    service.service, service.zone, service.address, service.port
                );
            }
        }
        STANDARD.encode(text)
    }

    /// Answers what it is asked within a time, checks included.
    fn answers(&mut self, lone: &mut Lone, time: Duration, ours: &[u16]) {
        let end = lone.now + time;
        while lone.now < end {
            let to = self.node.endpoint();
            while let Some(index) = lone.asked.iter().position(|asked| asked.to == to) {
                let asked = lone.asked.remove(index);
                let answer = self.answer(lone, &asked.request, ours);
                lone.answer(&asked, answer);
            }
            lone.pass(ms(10));
        }
    }

    fn answer(&mut self, lone: &Lone, request: &Request, ours: &[u16]) -> Answer {
        let about: Vec<&Node> = match request {
            Request::Local(list) => vec![&list.node],
            Request::Add(change) | Request::Remove(change) => vec![&change.node],
            Request::Sync(lists) => lists.iter().map(|list| &list.node).collect(),
            Request::Nodes(_) | Request::Hash(_) => Vec::new(),
        };
        self.errors += about.iter().filter(|node| !self.recorded.contains(node)).count();
        match request.kind() {
            ExchangeKind::Local => local(&self.node, &self.ports),
            ExchangeKind::Hash => Answer::Hash(self.hash(lone, ours).into()),
            ExchangeKind::Sync => Answer::Diff(vec![lone.protocol.membership().own().clone()]),
            ExchangeKind::Nodes => Answer::Nodes(vec![NodeState {
                node: self.node.clone(),
                healthy: true,
            }]),
            ExchangeKind::Add | ExchangeKind::Remove => Answer::Done,
        }
    }
}

/// A node that has learnt of an original from another node's list.
fn learnt(original: &Original) -> Lone {
    let mut lone = Lone::new();
    let state = NodeState {
        node: original.node.clone(),
        healthy: true,
    };
    lone.serve(&node("third", 3), Request::Nodes(vec![state]));
    lone
}

#[test]
fn an_original_learnt_from_another_node_is_sent_a_search_at_once() {
    let mut original = Original::new(2, &[9000]);
    let mut lone = learnt(&original);
    // The first round of searches.
    lone.pass(ms(1));
    lone.sent.clear();
    original.answers(&mut lone, ms(10), &[]);
    let search = |(to, datagram): &&(_, sidecar::mesh::wire::Datagram)| {
        *to == original.node.datagram_address() && datagram.kind == DatagramKind::Search
    };
    assert_eq!(lone.sent.iter().filter(search).count(), 1);
    let known = lone.services(&original.node).expect("its list");
    assert!(known.same_keys(&list(&[9000])), "{known:?}");
    assert_eq!(original.errors, 0);
}

#[test]
fn until_an_original_records_us_it_is_sent_nothing_about_us() {
    let mut original = Original::new(2, &[9000]);
    let mut lone = learnt(&original);
    original.answers(&mut lone, ms(1_000), &[]);
    lone.event(Event::Offers(vec![offer(8000)]));
    original.answers(&mut lone, ms(4_000), &[]);
    lone.event(Event::Offers(vec![offer(8000), offer(8001)]));
    original.answers(&mut lone, ms(5_000), &[]);
    assert_eq!(original.errors, 0);
    assert!(lone.protocol.membership().is_up(&original.node));

    // Its answers to checks show that it records us, with a list that it took too early.
    original.recorded.push(lone.protocol.membership().own().clone());
    original.answers(&mut lone, ms(500), &[8000]);
    lone.event(Event::Offers(vec![offer(8001)]));
    let asked = &lone.take_asked(&original.node).request;
    let told = match asked {
        Request::Remove(change) => change.khala_node.port == 8000,
        Request::Local(NodeServices { khala_nodes, .. }) => *khala_nodes == list(&[8001]),
        _ => false,
    };
    assert!(told, "{asked:?}");
    assert_eq!(original.errors, 0);
}

#[test]
fn a_node_that_only_we_have_as_up_is_not_compared_with_an_original() {
    let mut original = Original::new(2, &[9000]);
    let mut lone = learnt(&original);
    original.answers(&mut lone, ms(1_000), &[]);
    original.recorded.push(lone.protocol.membership().own().clone());
    original.answers(&mut lone, ms(1_000), &[]);
    lone.bring_up(&node("third", 3), &[7000]);
    for _ in 0..10 {
        original.answers(&mut lone, ms(400), &[]);
        let check = lone
            .asked
            .iter()
            .position(|asked| asked.to == node("third", 3).endpoint());
        if let Some(index) = check {
            let asked = lone.asked.remove(index);
            let hash = lone.protocol.directory().hash();
            lone.answer(&asked, Answer::Hash(hash));
        }
    }
    assert_eq!(original.errors, 0, "no comparison of lists names the third node");
}

#[test]
fn services_that_an_original_offers_before_it_records_us_are_known() {
    let mut original = Original::new(2, &[]);
    let mut lone = learnt(&original);
    original.answers(&mut lone, ms(1_000), &[]);
    original.ports = vec![9000];
    original.answers(&mut lone, ms(1_000), &[]);
    let known = lone.services(&original.node).expect("its list");
    assert!(known.same_keys(&list(&[9000])), "{known:?}");
    assert_eq!(original.errors, 0);
    original.recorded.push(lone.protocol.membership().own().clone());
    original.answers(&mut lone, ms(1_000), &[]);
    assert_eq!(original.errors, 0);
    assert_eq!(
        lone.services(&original.node),
        Some(&list(&[9000])),
        "with its weight"
    );
}

#[test]
fn an_original_that_goes_down_and_comes_back_refuses_nothing() {
    let mut original = Original::new(2, &[9000]);
    let mut lone = learnt(&original);
    original.answers(&mut lone, ms(1_000), &[]);
    original.recorded.push(lone.protocol.membership().own().clone());
    original.answers(&mut lone, ms(1_000), &[]);
    for _ in 0..3 {
        lone.pass(ms(450));
        let check = lone.take_asked(&original.node);
        lone.fail(&check, Failure::Refused);
    }
    assert!(!lone.protocol.membership().is_up(&original.node));
    original.recorded.truncate(1);
    original.answers(&mut lone, ms(1_000), &[]);
    assert!(lone.protocol.membership().is_up(&original.node));
    assert_eq!(original.errors, 0);
}

#[test]
fn another_original_at_a_known_endpoint_is_noticed_by_its_text() {
    let mut original = Original::new(2, &[9000]);
    let mut lone = learnt(&original);
    original.answers(&mut lone, ms(1_000), &[]);
    let mut successor = Original::new(2, &[9001]);
    successor.node = node("successor", 2);
    successor.recorded = vec![successor.node.clone()];
    successor.answers(&mut lone, ms(2_000), &[]);
    assert!(!lone.is_known(&original.node));
    let known = lone.services(&successor.node).expect("its list");
    assert!(known.same_keys(&list(&[9001])), "{known:?}");
    assert_eq!(successor.errors, 0);
}

#[test]
fn a_peer_whose_text_cannot_be_read_is_asked_for_its_list() {
    let original = Original::new(2, &[9000]);
    let mut lone = learnt(&original);
    let check = lone.take_list_check(&original.node);
    lone.answer(&check, local(&original.node, &[9000]));
    assert_eq!(lone.services(&original.node), Some(&list(&[9000])));
}

#[test]
fn a_peer_that_gossips_is_asked_for_its_list_at_once() {
    let (mut lone, peer) = (Lone::new(), node("peer", 2));
    gossip::says(&mut lone, DatagramKind::Search, &peer, &[]);
    assert_eq!(lone.take_asked(&peer).request.kind(), ExchangeKind::Local);

    let (mut lone, original) = (Lone::new(), Original::new(2, &[]));
    lone.datagram(DatagramKind::Search, &peer, "another");
    let check = lone.take_asked(&peer);
    lone.event(Event::Gossips(peer.endpoint()));
    // Even if its text could be read as an original's.
    lone.answer(&check, Answer::Hash(original.hash(&lone, &[]).into()));
    assert_eq!(lone.take_asked(&peer).request.kind(), ExchangeKind::Local);
}
