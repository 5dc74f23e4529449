//! The instances of a lost node: the last choice until it is up again, has withdrawn them, has left or is forgotten, or
//! another node has its place.

use std::time::Duration;

use crate::common::lone::{Lone, at, change, list, local, ms, node};
use sidecar::mesh::protocol::{Departure, Event, Failure};
use sidecar::mesh::view::View;
use sidecar::mesh::wire::{DatagramKind, Node, NodeServices, Request};

/// A node that has lost a peer with the instances at these ports.
fn lost(other: &Node, ports: &[u16]) -> Lone {
    let mut lone = Lone::new();
    lone.bring_up(other, ports);
    lose(&mut lone, other);
    lone
}

fn lose(lone: &mut Lone, other: &Node) {
    let end = lone.now + Duration::from_secs(30);
    while lone.protocol.membership().is_up(other) {
        assert!(lone.now < end, "{other} is not lost");
        lone.pass(ms(10));
        for asked in std::mem::take(&mut lone.asked) {
            lone.fail(&asked, Failure::Timeout);
        }
    }
    assert_eq!(
        lone.gone.pop(),
        Some((other.clone(), Departure::Down(Failure::Timeout)))
    );
}

/// The ports of the instances that are offered, and of those that are the last choice.
fn ports(lone: &Lone) -> (Vec<u16>, Vec<u16>) {
    let instances = lone.protocol.instances();
    let offered = instances.offered.values().flatten();
    let last_choice = instances.last_choice.values().flatten();
    (
        offered.map(|instance| instance.address.port()).collect(),
        last_choice.map(|(instance, _)| instance.address.port()).collect(),
    )
}

#[test]
fn instances_of_a_lost_node_are_the_last_choice_until_it_is_up_again() {
    let other = node("other", 2);
    let mut lone = lost(&other, &[5, 6]);
    assert_eq!(ports(&lone), (vec![], vec![5, 6]));
    let view = View::of(&lone.protocol);
    assert!(view.services[0].instances.is_empty());
    assert_eq!(view.services[0].last_choice.len(), 2);
    lone.asked.clear();
    lone.datagram(DatagramKind::Search, &other, "");
    let check = lone.take_asked(&other);
    lone.answer(&check, local(&other, &[6, 7]));
    assert_eq!(ports(&lone), (vec![6, 7], vec![]));
}

#[test]
fn a_lost_node_is_forgotten_after_five_minutes_and_its_instances_with_it() {
    let other = node("other", 2);
    let mut lone = lost(&other, &[5]);
    let step = ms(100);
    for _ in 0..2_990 {
        lone.pass(step);
        for asked in std::mem::take(&mut lone.asked) {
            lone.fail(&asked, Failure::Timeout);
        }
    }
    assert_eq!(ports(&lone), (vec![], vec![5]), "after 299 s");
    for _ in 0..20 {
        lone.pass(step);
        for asked in std::mem::take(&mut lone.asked) {
            lone.fail(&asked, Failure::Timeout);
        }
    }
    assert_eq!(ports(&lone), (vec![], vec![]), "after 301 s");
}

#[test]
fn a_leave_and_a_withdrawal_end_it_at_once() {
    let other = node("other", 2);
    let mut lone = lost(&other, &[5]);
    lone.asked.clear();
    lone.leaves(&other);
    assert_eq!(ports(&lone), (vec![], vec![]));

    let mut lone = lost(&other, &[5, 6, 7]);
    lone.serve(&other, Request::Remove(change(&other, 5)));
    assert_eq!(ports(&lone), (vec![], vec![6, 7]));
    let services = NodeServices {
        node: other.clone(),
        khala_nodes: list(&[7]),
    };
    lone.serve(&other, Request::Local(services));
    assert_eq!(ports(&lone), (vec![], vec![7]));
    // Only the node itself can withdraw what it offers.
    lone.serve(&node("third", 3), Request::Remove(change(&other, 7)));
    assert_eq!(ports(&lone), (vec![], vec![7]));
}

#[test]
fn another_node_at_its_address_ends_it_once_it_has_answered() {
    let (other, another) = (node("other", 2), node("another", 2));
    let mut lone = Lone::new();
    lone.bring_up(&other, &[]);
    lone.serve(
        &other,
        Request::Local(NodeServices {
            node: other.clone(),
            khala_nodes: at(&other, &[5]),
        }),
    );
    lose(&mut lone, &other);
    lone.asked.clear();
    lone.datagram(DatagramKind::Search, &another, "");
    assert_eq!(ports(&lone), (vec![], vec![5]), "anybody can forge a datagram");
    let question = lone.take_asked(&another);
    lone.answer(&question, local(&another, &[6]));
    let check = lone.take_asked(&another);
    lone.answer(&check, local(&another, &[6]));
    assert_eq!(ports(&lone), (vec![6], vec![]));
    let replaced = lone.protocol.instances().replaced;
    assert_eq!(replaced.len(), 1, "connections to it end: {replaced:?}");
}

#[test]
fn an_instance_that_a_node_offers_that_is_up_is_no_last_choice() {
    let (other, third) = (node("other", 2), node("third", 3));
    let mut lone = lost(&other, &[5, 6]);
    lone.asked.clear();
    lone.bring_up(&third, &[5]);
    assert_eq!(ports(&lone), (vec![5], vec![6]));
}

#[test]
fn a_node_that_moves_to_another_address_keeps_them() {
    let other = node("other", 2);
    let mut lone = lost(&other, &[5]);
    let own = node("own", 9);
    let search = sidecar::mesh::protocol::Search::new(
        own.datagram_address(),
        &sidecar::mesh::DiscoverySettings::default(),
    );
    lone.event(Event::Readdressed { own, search });
    assert_eq!(ports(&lone), (vec![], vec![5]));
}
