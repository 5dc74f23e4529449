//! A node whose address changes: it keeps its peers, and announces itself to each.

use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::protocol::{Event, Failure, Search};
use sidecar::mesh::wire::{DatagramKind, ExchangeKind, Node, NodeState, Request};

use crate::common::lone::{Lone, list, local, ms, node, offer};

fn readdressed(lone: &mut Lone, host: u8) -> Node {
    let own = node("own", host);
    let search = Search::new(own.datagram_address(), &DiscoverySettings::default());
    lone.event(Event::Readdressed {
        own: own.clone(),
        search,
    });
    own
}

#[test]
fn each_peer_that_is_up_gets_the_list_of_the_new_address_at_once() {
    let (mut lone, peer) = (Lone::new(), node("peer", 2));
    lone.event(Event::Offers(vec![offer(80)]));
    lone.bring_up(&peer, &[8080]);
    lone.asked.clear();
    let own = readdressed(&mut lone, 9);
    let asked = lone.take_asked(&peer);
    match &asked.request {
        Request::Local(services) => {
            assert_eq!(services.node, own);
            assert_eq!(services.khala_nodes, list(&[80]));
        }
        other => panic!("{other:?}"),
    }
    lone.answer(&asked, local(&peer, &[8080]));
    assert_eq!(lone.protocol.membership().own(), &own);
    assert!(lone.protocol.membership().is_up(&peer));
    assert_eq!(lone.services(&peer), Some(&list(&[8080])));
    assert_eq!(lone.services(&own), Some(&list(&[80])));
    assert!(lone.gone.is_empty(), "{:?}", lone.gone);
}

#[test]
fn the_node_that_it_was_is_not_learned_from_peers_that_still_know_it() {
    let (mut lone, peer) = (Lone::new(), node("peer", 2));
    lone.bring_up(&peer, &[]);
    let before = lone.protocol.membership().own().clone();
    let own = readdressed(&mut lone, 9);
    let states = [&before, &own, &peer].map(|node| NodeState {
        node: node.clone(),
        healthy: true,
    });
    lone.serve(&peer, Request::Nodes(states.into()));
    assert!(!lone.is_known(&before) && !lone.is_known(&own));
}

#[test]
fn an_exchange_from_the_old_address_is_held_against_nobody() {
    let (mut lone, peer) = (Lone::new(), node("peer", 2));
    lone.bring_up(&peer, &[]);
    lone.pass(ms(500));
    let old = lone.take_asked(&peer);
    readdressed(&mut lone, 9);
    let new = lone.take_asked(&peer);
    assert_eq!(new.request.kind(), ExchangeKind::Local);
    for _ in 0..3 {
        lone.fail(&old, Failure::Refused);
    }
    lone.nothing_asked(&peer);
    lone.answer(&new, local(&peer, &[]));
    assert!(lone.protocol.membership().is_up(&peer) && lone.gone.is_empty());
}

#[test]
fn a_peer_that_is_down_is_checked_at_once_and_an_hour_without_an_address_takes_no_peer_down() {
    let (mut lone, up, down) = (Lone::new(), node("up", 2), node("down", 3));
    lone.bring_up(&up, &[]);
    lone.bring_up(&down, &[]);
    for _ in 0..3 {
        lone.pass(ms(500));
        let asked = lone.take_asked(&down);
        lone.fail(&asked, Failure::Refused);
        while lone.asked.iter().any(|asked| asked.to == up.endpoint()) {
            let asked = lone.take_asked(&up);
            lone.answer(&asked, local(&up, &[]));
        }
    }
    assert!(!lone.protocol.membership().is_up(&down));
    lone.asked.clear();
    // The caller lets no time pass for the node meanwhile.
    lone.now += ms(3_600_000);
    readdressed(&mut lone, 1);
    assert_eq!(lone.take_asked(&up).request.kind(), ExchangeKind::Local);
    lone.take_list_check(&down);
    assert!(lone.protocol.membership().is_up(&up));
}

#[test]
fn a_farewell_is_sent_to_all_peers_and_the_node_goes_on() {
    let (mut lone, peer) = (Lone::new(), node("peer", 2));
    lone.bring_up(&peer, &[]);
    lone.sent.clear();
    let farewell = lone.protocol.farewell();
    lone.took(farewell);
    let sent: Vec<_> = lone.sent.iter().map(|(to, it)| (*to, it.kind)).collect();
    assert_eq!(sent, [(peer.datagram_address(), DatagramKind::Leave)]);
    assert!(lone.protocol.next_deadline().is_some());
}
