use std::net::IpAddr;

use super::super::peer::{PeerEvent, Source};
use super::*;
use crate::mesh::wire::Node;

const SECOND: Duration = Duration::from_secs(1);
const REVISION: u64 = 0;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn peer(events: &[PeerEvent]) -> Peer {
    let node = Node::new("peer", IpAddr::from([10, 0, 0, 2]), 31000, 31000).unwrap();
    let mut peer = Peer::new(node, Duration::ZERO, false);
    for event in events {
        peer.apply(Duration::ZERO, *event, &Config::default());
    }
    peer
}

/// A peer that is up and gossips.
fn gossiping() -> Peer {
    peer(&[PeerEvent::GossipSeen, PeerEvent::Verified])
}

fn exchanges(peer: &Peer) -> Exchanges {
    let mut exchanges = Exchanges::new(Arc::default());
    exchanges.add(SECOND, peer.node.endpoint());
    exchanges
}

/// Begins the exchange that is due after a second.
fn begin(exchanges: &mut Exchanges, peer: &Peer) -> (Due, u64, Duration) {
    let due = exchanges.take_due(SECOND, peer, REVISION).expect("one is due");
    let request = Request::Hash("".into());
    let (id, timeout) = exchanges
        .begin(SECOND, peer, due, &request, None, Duration::ZERO)
        .unwrap();
    (due, id, timeout)
}

#[test]
fn a_new_peer_is_checked_at_once_in_the_lane_of_its_source() {
    for (peer, source) in [
        (peer(&[]), Source::Relayed),
        (peer(&[PeerEvent::Introduced]), Source::Direct),
    ] {
        let mut exchanges = exchanges(&peer);
        let (due, _, timeout) = begin(&mut exchanges, &peer);
        let (task, lane) = (Task::Check, Lane::Join(source));
        assert_eq!(due, Due { task, lane });
        assert_eq!(timeout, ms(600));
    }
}

#[test]
fn one_exchange_at_a_time_is_made_with_a_peer() {
    let peer = peer(&[]);
    let mut exchanges = exchanges(&peer);
    let (_, id, _) = begin(&mut exchanges, &peer);
    assert_eq!(exchanges.take_due(2 * SECOND, &peer, REVISION), None);
    assert!(exchanges.end(2 * SECOND, id, Some(true), false).is_some());
    assert!(exchanges.take_due(2 * SECOND, &peer, REVISION).is_some());
}

#[test]
fn an_exchange_that_is_due_later_sets_the_timer() {
    let peer = gossiping();
    let mut exchanges = exchanges(&peer);
    exchanges.check_at(peer.node.endpoint(), 9 * SECOND);
    assert_eq!(exchanges.take_due(SECOND, &peer, REVISION), None);
    assert_eq!(exchanges.next_deadline(), Some(9 * SECOND));
    assert_eq!(exchanges.pop(9 * SECOND), Some(peer.node.endpoint()));
}

#[test]
fn late_answers_extend_the_timeouts_of_all_but_checks() {
    let (joining, up) = (peer(&[]), gossiping());
    let mut exchanges = exchanges(&joining);
    let (_, id, timeout) = begin(&mut exchanges, &joining);
    exchanges.end(SECOND + timeout, id, Some(false), false);
    let (_, id, longer) = begin(&mut exchanges, &joining);
    assert_eq!(longer, timeout * 2);
    exchanges.end(SECOND, id, None, false);
    let (due, _, timeout) = begin(&mut exchanges, &up);
    assert_eq!(due.lane, Lane::Check);
    assert_eq!(timeout, ms(500));
}

#[test]
fn a_timeout_of_a_peer_that_may_be_gone_extends_nothing() {
    let peer = peer(&[]);
    let mut exchanges = exchanges(&peer);
    let (_, id, timeout) = begin(&mut exchanges, &peer);
    exchanges.end(SECOND + timeout, id, Some(false), true);
    assert_eq!(begin(&mut exchanges, &peer).2, timeout);
}

#[test]
fn the_end_of_an_exchange_with_a_forgotten_peer_is_ignored() {
    let peer = peer(&[]);
    let mut exchanges = exchanges(&peer);
    let (_, id, _) = begin(&mut exchanges, &peer);
    exchanges.remove(peer.node.endpoint());
    exchanges.add(SECOND, peer.node.endpoint());
    assert!(exchanges.end(SECOND, id, Some(true), false).is_none());
    assert_eq!(exchanges.peer_of(id), None);
}

fn failed(peer: &Peer, task: Task, failure: Failure) -> (Blame, bool) {
    let exchange = InFlight {
        id: 1,
        task,
        began: SECOND,
        asks_leave: false,
        sample: Sample::All,
        acks: None,
        news: 0,
    };
    let Verdict { blame, repair } = exchanges(peer).failed(SECOND, peer, &exchange, failure);
    (blame, repair)
}

#[test]
fn a_gossiping_peer_that_is_late_is_left_to_its_probes() {
    let peer = gossiping();
    assert_eq!(
        failed(&peer, Task::Check, Failure::Timeout),
        (Blame::Probe, false)
    );
    assert_eq!(failed(&peer, Task::Sync, Failure::Timeout), (Blame::Probe, true));
    assert_eq!(
        failed(&peer, Task::Check, Failure::Refused),
        (Blame::Check, false)
    );
}

#[test]
fn failed_checks_count_and_failed_repairs_and_refused_lists_do_not() {
    let peer = peer(&[PeerEvent::Verified]);
    assert_eq!(
        failed(&peer, Task::Check, Failure::Timeout),
        (Blame::Check, false)
    );
    assert_eq!(failed(&peer, Task::Push, Failure::Timeout), (Blame::Check, false));
    assert_eq!(failed(&peer, Task::Push, Failure::Bad), (Blame::Nobody, false));
    assert_eq!(
        failed(&peer, Task::Nodes, Failure::Timeout),
        (Blame::Nobody, true)
    );
}

#[test]
fn a_check_is_repeated_sooner_after_a_timeout_than_after_a_refusal() {
    let peer = peer(&[PeerEvent::Verified]);
    let mut exchanges = exchanges(&peer);
    for (failure, pause) in [(Failure::Timeout, 0), (Failure::Refused, 30), (Failure::Bad, 100)] {
        exchanges.check_again(SECOND, peer.node.endpoint(), failure);
        let plan = exchanges.plan(peer.node.endpoint()).unwrap();
        assert_eq!(plan.check_at, SECOND + ms(pause));
    }
}

#[test]
fn a_check_after_one_that_timed_out_waits_twice_as_long_if_the_peer_does_not_gossip() {
    for (peer, expected) in [
        (peer(&[PeerEvent::Verified]), [500, 1_000, 2_000]),
        (gossiping(), [500; 3]),
    ] {
        let mut exchanges = exchanges(&peer);
        for expected in expected {
            exchanges.check_at(peer.node.endpoint(), SECOND);
            let (due, id, timeout) = begin(&mut exchanges, &peer);
            assert_eq!(due.lane, Lane::Check);
            assert!(timeout.abs_diff(ms(expected)) < ms(1), "{timeout:?}");
            exchanges.end(SECOND + timeout, id, Some(false), false);
        }
    }
}

#[test]
fn a_check_has_more_time_if_our_own_timers_are_late() {
    let peer = peer(&[PeerEvent::Verified]);
    let mut exchanges = exchanges(&peer);
    let due = exchanges.take_due(SECOND, &peer, REVISION).unwrap();
    let request = Request::Hash("".into());
    let begun = exchanges.begin(SECOND, &peer, due, &request, None, ms(300));
    assert_eq!(begun.map(|(_, timeout)| timeout), Some(ms(800)));
}
