//! Peers of the original's kind that answer late: they are lost only if they are silent, however busy they are.

use std::time::Duration;

use crate::common::lone::{Lone, ms, node};
use sidecar::mesh::protocol::{Event, Failure};
use sidecar::mesh::wire::{Answer, DatagramKind, ExchangeKind, Node, Request};

/// Plays a peer that answers everything this long after it was asked, for this time.
fn answer_late(lone: &mut Lone, other: &Node, late: Duration, time: Duration) {
    let end = lone.now + time;
    while lone.now < end {
        let Some(index) = lone.asked.iter().position(|asked| asked.to == other.endpoint()) else {
            lone.pass(ms(10));
            continue;
        };
        let asked = lone.asked.remove(index);
        lone.pass(late.min(asked.timeout));
        if asked.timeout < late {
            lone.fail(&asked, Failure::Timeout);
            continue;
        }
        let answer = match asked.request {
            Request::Hash(_) => Answer::Hash(lone.protocol.directory().hash()),
            _ => crate::common::lone::local(other, &[5]),
        };
        lone.answer(&asked, answer);
    }
}

/// A peer that is up.
fn up() -> (Lone, Node) {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    answer_late(&mut lone, &other, ms(1), ms(5_000));
    (lone, other)
}

#[test]
fn a_peer_whose_answers_are_usually_late_is_not_lost() {
    for late in [ms(600), ms(1_200), ms(1_900)] {
        let (mut lone, other) = up();
        answer_late(&mut lone, &other, late, Duration::from_secs(300));
        assert!(lone.gone.is_empty(), "answers after {late:?}: {:?}", lone.gone);
    }
}

#[test]
fn a_peer_that_stalls_for_three_seconds_is_not_lost() {
    let (mut lone, other) = up();
    for _ in 0..10 {
        // What was asked during the stall is answered at its end, if it has not timed out by then.
        let end = lone.now + ms(3_000);
        while lone.now < end {
            let Some(index) = lone.asked.iter().position(|asked| asked.to == other.endpoint()) else {
                lone.pass(ms(10));
                continue;
            };
            let asked = lone.asked.remove(index);
            let left = end - lone.now;
            lone.pass(left.min(asked.timeout));
            if asked.timeout < left {
                lone.fail(&asked, Failure::Timeout);
            } else {
                lone.answer(&asked, Answer::Hash(lone.protocol.directory().hash()));
            }
        }
        answer_late(&mut lone, &other, ms(1), ms(20_000));
        assert!(lone.gone.is_empty(), "{:?}", lone.gone);
    }
}

#[test]
fn a_silent_peer_is_lost_in_four_seconds() {
    let (mut lone, other) = up();
    let begun = lone.now;
    while lone.protocol.membership().is_up(&other) {
        match lone.asked.iter().position(|asked| asked.to == other.endpoint()) {
            Some(index) => {
                let asked = lone.asked.remove(index);
                lone.pass(asked.timeout);
                lone.fail(&asked, Failure::Timeout);
            }
            None => lone.pass(ms(10)),
        }
        assert!(lone.now - begun < ms(4_000), "it is still up");
    }
}

#[test]
fn a_check_has_more_time_after_a_wake_that_was_late() {
    let (mut lone, other) = up();
    lone.asked.clear();
    let due = lone.protocol.next_deadline().unwrap();
    lone.now = due + ms(200);
    lone.event(Event::Wake);
    lone.pass(ms(500));
    let check = lone.take_asked(&other);
    assert_eq!(check.request.kind(), ExchangeKind::Hash);
    assert!(check.timeout > ms(550), "{:?}", check.timeout);
    lone.datagram(DatagramKind::Leave, &other, "");
}
