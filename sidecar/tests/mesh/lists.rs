//! Lists of services between nodes, step by step: requests, announcements and repairs.

use crate::common::lone::{Lone, change, list, local, ms, node, offer};
use sidecar::mesh::protocol::{Event, Failure};
use sidecar::mesh::wire::{Answer, DatagramKind, ExchangeKind, Request};

#[test]
fn a_list_older_than_a_message_received_meanwhile_is_requested_again() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    lone.pass(ms(300));
    lone.asked.clear();
    lone.pass(ms(800));
    let check = lone.take_asked(&other);
    lone.answer(&check, Answer::Hash(lone.protocol.directory().hash()));
    lone.datagram(DatagramKind::Search, &other, "it restarted?");
    let pull = lone.take_asked(&other);
    assert_eq!(pull.request.kind(), ExchangeKind::Local);
    assert_eq!(lone.serve(&other, Request::Add(change(&other, 6))), Answer::Done);
    lone.answer(&pull, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5, 6])));
    let again = lone.take_asked(&other);
    assert_eq!(again.request.kind(), ExchangeKind::Local);
    lone.answer(&again, local(&other, &[6]));
    assert_eq!(lone.services(&other), Some(&list(&[6])));
    lone.nothing_asked(&other);
}

#[test]
fn changes_are_announced_one_at_a_time_in_order_until_acknowledged() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.event(Event::Offers(vec![offer(5)]));
    lone.event(Event::Offers(vec![]));
    let own = lone.protocol.membership().own().clone();
    let add = lone.take_asked(&other);
    assert_eq!(add.request, Request::Add(change(&own, 5)));
    lone.nothing_asked(&other);
    lone.fail(&add, Failure::Refused);
    assert!(!lone.protocol.is_acknowledged());
    lone.pass(ms(35));
    let check = lone.take_asked(&other);
    assert_eq!(
        check.request.kind(),
        ExchangeKind::Hash,
        "a failure calls for a check first"
    );
    lone.answer(&check, Answer::Hash("".into()));
    lone.pass(ms(100));
    let add = lone.take_asked(&other);
    assert_eq!(add.request, Request::Add(change(&own, 5)));
    lone.answer(&add, Answer::Done);
    let remove = lone.take_asked(&other);
    assert_eq!(remove.request, Request::Remove(change(&own, 5)));
    lone.answer(&remove, Answer::Done);
    assert!(lone.protocol.is_acknowledged());
    lone.nothing_asked(&other);
}

#[test]
fn many_changes_are_announced_as_one_list() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.event(Event::Offers((1..=9).map(offer).collect()));
    let asked = lone.take_asked(&other);
    let Request::Local(services) = &asked.request else {
        panic!("{asked:?}")
    };
    assert_eq!(services.khala_nodes.len(), 9);
    lone.answer(&asked, local(&other, &[]));
    assert!(lone.protocol.is_acknowledged());
}

#[test]
fn a_lasting_difference_is_repaired() {
    let mut lone = Lone::new();
    let (other, third, unknown) = (node("other", 2), node("third", 3), node("unknown", 4));
    lone.bring_up(&third, &[]);
    lone.bring_up(&other, &[]);
    for _ in 0..2 {
        lone.pass(ms(450));
        let check = lone.take_asked(&other);
        assert_eq!(check.request.kind(), ExchangeKind::Hash);
        lone.answer(&check, Answer::Hash("differs".into()));
    }
    // An exchange with the third is under way at that time.
    let check = lone.take_asked(&third);
    lone.answer(&check, Answer::Hash(lone.protocol.directory().hash()));
    let sync = lone.take_asked(&other);
    assert_eq!(
        sync.request,
        Request::Sync(lone.protocol.directory().everything().unwrap())
    );
    lone.pass(ms(200));
    let own = lone.protocol.membership().own().clone();
    lone.answer(&sync, Answer::Diff(vec![own, third.clone(), unknown.clone()]));
    lone.take_list_check(&unknown);
    lone.pass(ms(1000));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let asked = lone.take_asked(&third);
        kinds.push(asked.request.kind());
        lone.answer(&asked, local(&third, &[5]));
        lone.pass(ms(500));
    }
    assert!(kinds.contains(&ExchangeKind::Local), "{kinds:?}");
    assert_eq!(lone.services(&third), Some(&list(&[5])));
    assert_eq!(
        lone.take_asked(&other).request.kind(),
        ExchangeKind::Local,
        "its copy of our own list is wrong"
    );
}

#[test]
fn a_message_of_a_peer_that_is_not_up_is_not_applied_but_triggers_a_check() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    lone.serve(&third, Request::Add(change(&other, 5)));
    assert!(!lone.is_known(&other), "relayed by another");
    assert_eq!(lone.serve(&other, Request::Add(change(&other, 5))), Answer::Done);
    assert_eq!(lone.services(&other), None);
    let check = lone.take_asked(&other);
    lone.answer(&check, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
    // Another address sends in its name: it is asked itself.
    lone.pass(ms(1100));
    let check = lone.take_asked(&other);
    lone.answer(&check, Answer::Hash("".into()));
    lone.serve(&third, Request::Remove(change(&other, 5)));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
    assert_eq!(lone.take_asked(&other).request.kind(), ExchangeKind::Local);
}

#[test]
fn a_sign_of_life_during_a_check_repeats_it() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.datagram(DatagramKind::Search, &other, "");
    let check = lone.take_asked(&other);
    lone.serve(&other, Request::Add(change(&other, 5)));
    lone.answer(&check, local(&other, &[]));
    assert!(lone.protocol.membership().is_up(&other));
    let again = lone.take_asked(&other);
    assert_eq!(again.request.kind(), ExchangeKind::Local);
    lone.answer(&again, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
}

#[test]
fn a_directory_too_large_for_one_body_is_repaired_list_by_list() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    for host in 3..=60 {
        lone.bring_up(&node(&"n".repeat(200), host), &(1..=1000).collect::<Vec<u16>>());
    }
    assert_eq!(lone.protocol.directory().everything(), None);
    lone.bring_up(&other, &[]);
    for _ in 0..2 {
        lone.pass(ms(450));
        let check = lone.take_asked(&other);
        assert_eq!(check.request.kind(), ExchangeKind::Hash);
        lone.answer(&check, Answer::Hash("differs".into()));
    }
    let repair = lone.take_asked(&other);
    assert_eq!(repair.request.kind(), ExchangeKind::Local);
    lone.answer(&repair, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
}
