//! Tables that are full: an address cannot keep others out of them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::common::lone::{Lone, at};
use sidecar::mesh::directory::Directory;
use sidecar::mesh::wire::{DatagramKind, MAX_NODES, MAX_SERVICES, Node, NodeServices, Request, ServiceList};

/// The limit of service nodes in all lists.
const MAX_TOTAL: usize = 65_536;

fn node(host: u8, port: u16) -> Node {
    Node::new("n", IpAddr::from([10, 0, 1, host]), port, port).unwrap()
}

fn services(node: &Node, count: u16) -> ServiceList {
    at(node, &(1..=count).collect::<Vec<u16>>())
}

/// Two addresses with 36 nodes each, which offer as many instances as a node may.
fn greedy() -> impl Iterator<Item = Node> {
    (0..72).map(|n: u16| node(n.is_multiple_of(2).into(), 1000 + n))
}

fn full() -> u16 {
    MAX_SERVICES.try_into().unwrap()
}

#[test]
fn a_service_that_starts_while_the_directory_is_full_is_heard() {
    let mut lone = Lone::new();
    let join = |lone: &mut Lone, node: &Node, count| {
        let request = Request::Local(NodeServices {
            node: node.clone(),
            khala_nodes: services(node, count),
        });
        let (_, actions) = lone.protocol.serve_gossiping(lone.now, node.address(), request);
        lone.took(actions);
    };
    for node in greedy() {
        join(&mut lone, &node, full());
    }
    let total = |lone: &Lone| lone.protocol.directory().iter().count();
    assert_eq!(total(&lone), MAX_TOTAL);
    lone.cuts.clear();
    let honest = node(7, 31000);
    join(&mut lone, &honest, 5);
    assert_eq!(lone.services(&honest), Some(&services(&honest, 5)));
    let instances = lone.protocol.instances();
    let offered = instances.offered.values().flatten();
    let of_honest = offered.filter(|instance| instance.address.ip() == honest.address());
    assert_eq!(of_honest.count(), 5);
    assert_eq!(total(&lone), MAX_TOTAL);
    let cut: usize = lone.cuts.iter().map(|cut| cut.services).sum();
    assert_eq!(cut, 5, "{:?}", lone.cuts);
    assert!(lone.cuts.iter().all(|cut| cut.address != honest.address()));
    // What was cut does not come back at the expense of others.
    for node in greedy() {
        join(&mut lone, &node, full());
    }
    assert_eq!(lone.services(&honest), Some(&services(&honest, 5)));
}

#[test]
fn the_own_list_is_never_cut() {
    let own = node(0, 31000);
    let mut directory = Directory::new(own.clone());
    directory.set(&own, services(&own, full()));
    for node in greedy() {
        directory.set(&node, services(&node, full()));
    }
    assert_eq!(directory.services(&own), Some(&services(&own, full())));
    assert_eq!(directory.iter().count(), MAX_TOTAL);
}

#[test]
fn a_node_that_is_lost_while_many_are_keeps_its_last_choices() {
    let mut directory = Directory::new(node(0, 31000));
    for node in greedy() {
        directory.set(&node, services(&node, full()));
        directory.mark_down(&node);
    }
    assert_eq!(directory.last_choice().count(), MAX_TOTAL);
    let honest = node(7, 31000);
    directory.set(&honest, services(&honest, 5));
    directory.mark_down(&honest);
    let of_honest = directory.last_choice().filter(|(node, ..)| **node == honest);
    assert_eq!(of_honest.count(), 5);
    assert_eq!(directory.last_choice().count(), MAX_TOTAL);
    assert!(!directory.take_cuts().is_empty());
}

#[test]
fn a_node_at_another_address_takes_the_place_of_one_of_the_address_with_most() {
    let mut lone = Lone::new();
    let greedy = |n: u16| {
        let address = Ipv4Addr::from([10, 0, 2, u8::try_from(n / 64).unwrap()]);
        Node::new("greedy", address.into(), 1000 + n, 1000 + n).unwrap()
    };
    for n in 0..u16::try_from(MAX_NODES).unwrap() {
        let node = greedy(n);
        let request = Request::Local(NodeServices {
            node: node.clone(),
            khala_nodes: ServiceList::default(),
        });
        let (_, actions) = lone.protocol.serve_gossiping(lone.now, node.address(), request);
        lone.took(actions);
    }
    let up = |lone: &Lone| lone.protocol.membership().up().count();
    assert_eq!(up(&lone), MAX_NODES - 1, "there is no room, and all are up");
    let honest = node(7, 31000);
    let search = |lone: &mut Lone, node: &Node| {
        lone.now += Duration::from_millis(1);
        lone.datagram(DatagramKind::Search, node, "");
    };
    search(&mut lone, &honest);
    assert!(lone.is_known(&honest));
    let gone = (0..u16::try_from(MAX_NODES).unwrap() - 1)
        .map(greedy)
        .find(|node| !lone.is_known(node));
    search(&mut lone, &gone.expect("one made room"));
    assert!(lone.is_known(&honest), "it keeps its place");
}
