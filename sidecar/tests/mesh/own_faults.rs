//! What this machine cannot send says nothing about its peers.

use sidecar::mesh::protocol::{Departure, Event, Failure};
use sidecar::mesh::wire::{Gossip, Node};

use crate::common::gossip::bring_up;
use crate::common::lone::{Lone, ms, node};

/// Takes what was sent; returns whether a probe of this node was.
fn is_probed(lone: &mut Lone, node: &Node) -> bool {
    let sent = std::mem::take(&mut lone.sent);
    sent.iter()
        .any(|(to, datagram)| *to == node.datagram_address() && Gossip::parse(&datagram.hash).is_some())
}

#[test]
fn probes_that_could_not_be_sent_are_not_missed() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    let mut unsent = 0;
    for _ in 0..1000 {
        lone.pass(ms(10));
        if is_probed(&mut lone, &other) {
            lone.event(Event::Unsent(other.datagram_address()));
            unsent += 1;
        }
    }
    assert!(unsent > 10, "{unsent} probes in 10 s");
    assert!(lone.protocol.membership().is_up(&other));
    lone.nothing_asked(&other);

    // Those that are sent count again.
    let begin = lone.now;
    while lone.protocol.membership().is_up(&other) {
        lone.pass(ms(10));
    }
    assert!(lone.now - begin < ms(1800), "{:?}", lone.now - begin);
    assert_eq!(lone.gone, [(other, Departure::Down(Failure::Timeout))]);
}

#[test]
fn an_unsent_probe_takes_back_one_of_several() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    let probes = |lone: &Lone| {
        let mut peers = lone.protocol.membership().peers();
        peers.next().expect("the peer").unanswered()
    };
    while probes(&lone) < 3 {
        lone.pass(ms(10));
    }
    lone.event(Event::Unsent(other.datagram_address()));
    assert_eq!(probes(&lone), 2);
    lone.event(Event::Unsent(node("unknown", 9).datagram_address()));
    assert_eq!(probes(&lone), 2);
}

#[test]
fn exchanges_that_could_not_be_made_take_no_peer_down_and_are_repeated() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    let mut failed = 0;
    for _ in 0..1000 {
        lone.pass(ms(10));
        for asked in std::mem::take(&mut lone.asked) {
            lone.fail(&asked, Failure::Own);
            failed += 1;
        }
    }
    assert!(lone.protocol.membership().is_up(&other));
    assert!(lone.gone.is_empty(), "{:?}", lone.gone);
    assert!((10..=25).contains(&failed), "{failed} exchanges in 10 s");
}
