use std::net::IpAddr;

use rand::SeedableRng;

use super::super::peer::PeerEvent;
use super::*;
use crate::mesh::wire::Node;

const SECOND: Duration = Duration::from_secs(1);

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn node(host: u8) -> Node {
    Node::new("node", IpAddr::from([10, 0, 0, host]), 31000, 31000).unwrap()
}

/// A gossiping peer that is up.
fn peer(host: u8) -> Peer {
    let mut peer = Peer::new(node(host), Duration::ZERO, false);
    for event in [PeerEvent::GossipSeen, PeerEvent::Verified] {
        apply(&mut peer, event);
    }
    peer
}

fn apply(peer: &mut Peer, event: PeerEvent) {
    peer.apply(Duration::ZERO, event, &Config::default());
}

/// The probes of node 10.
fn probes() -> (Probes, StdRng) {
    let probes = Probes::new(Arc::default(), node(10).endpoint());
    (probes, StdRng::seed_from_u64(1))
}

#[test]
fn the_first_of_a_pair_probes_within_an_interval_and_the_second_after_it() {
    for host in 1..50 {
        let (mut probes, mut rng) = probes();
        probes.came_up(SECOND, node(host).endpoint(), 4, &mut rng);
        let pause = probes.next().unwrap() - SECOND;
        // 4 * 150 ms - 120 ms
        let interval = ms(480);
        if host > 10 {
            assert!(pause < interval);
        } else {
            assert!(pause > interval + ms(100) && pause < interval + ms(120));
        }
    }
}

#[test]
fn the_first_of_a_pair_keeps_to_its_schedule_unless_a_probe_was_pending() {
    let (mut probes, mut rng) = probes();
    let endpoint = node(11).endpoint();
    probes.came_up(SECOND, endpoint, 4, &mut rng);
    let scheduled = probes.next();
    probes.heard(2 * SECOND, endpoint, false, 4, &mut rng);
    assert_eq!(probes.next(), scheduled);
    probes.heard(2 * SECOND, endpoint, true, 4, &mut rng);
    let pause = probes.next().unwrap() - 2 * SECOND;
    assert!(pause > ms(460) && pause < ms(500), "{pause:?}");
}

#[test]
fn a_missed_probe_is_repeated_soon_then_checked_then_broadcast() {
    let (mut probes, _) = probes();
    let mut peer = peer(11);
    let expected = [
        (ms(370), Escalation::default()),
        (ms(100), Escalation::default()),
        (ms(100), Escalation::default()),
        (
            ms(100),
            Escalation {
                check: true,
                broadcast: false,
            },
        ),
        (
            ms(100),
            Escalation {
                check: false,
                broadcast: true,
            },
        ),
        (ms(100), Escalation::default()),
    ];
    for (pause, escalation) in expected {
        apply(&mut peer, PeerEvent::ProbeDue);
        assert_eq!(probes.sent(SECOND, &peer, Duration::ZERO), escalation);
        assert_eq!(probes.next(), Some(SECOND + pause));
    }
}

#[test]
fn a_peer_that_others_suspect_is_probed_faster_and_broadcast_earlier() {
    let (mut probes, _) = probes();
    let mut peer = peer(11);
    apply(&mut peer, PeerEvent::Suspected);
    for broadcast in [false, false, true] {
        apply(&mut peer, PeerEvent::ProbeDue);
        assert_eq!(probes.sent(SECOND, &peer, Duration::ZERO).broadcast, broadcast);
        assert_eq!(probes.next(), Some(SECOND + ms(100)));
    }
}

#[test]
fn a_probe_is_postponed_if_the_mesh_has_grown_since() {
    let (mut probes, mut rng) = probes();
    let peer = peer(11);
    probes.came_up(Duration::ZERO, peer.node.endpoint(), 4, &mut rng);
    let due = probes.next().unwrap();
    assert_eq!(probes.pop(due), Some(peer.node.endpoint()));
    assert!(!probes.is_due(due, &peer, 100));
    // 14.88 s instead of 480 ms
    assert_eq!(probes.next().unwrap().as_millis(), (due * 31).as_millis());
    assert!(probes.is_due(due * 31, &peer, 100));
}

#[test]
fn peers_that_are_down_share_a_bounded_rate() {
    let (mut probes, mut rng) = probes();
    for (down, expected) in [(1, SECOND), (100, 50 * SECOND)] {
        probes.down(SECOND, node(11).endpoint(), down, &mut rng);
        let pause = probes.next().unwrap() - SECOND;
        assert!(pause >= expected.mul_f64(0.9) && pause <= expected.mul_f64(1.1));
    }
}

#[test]
fn a_recovery_begins_at_most_once_per_pause() {
    let (mut probes, _) = probes();
    assert!(probes.begins_recovery(2 * SECOND));
    assert!(!probes.begins_recovery(2 * SECOND));
    assert!(probes.begins_recovery(3 * SECOND));
}

#[test]
fn probes_of_a_peer_end() {
    let (mut probes, mut rng) = probes();
    probes.came_up(SECOND, node(11).endpoint(), 4, &mut rng);
    probes.stop(node(11).endpoint());
    assert_eq!(probes.next(), None);
}

#[test]
fn the_first_probe_of_a_peer_whose_answers_are_late_waits_longer() {
    let (mut probes, mut rng) = probes();
    let (mut peer, endpoint) = (peer(11), node(11).endpoint());
    for second in 1..=40 {
        let now = second * SECOND;
        apply(&mut peer, PeerEvent::ProbeDue);
        probes.sent(now, &peer, Duration::ZERO);
        apply(&mut peer, PeerEvent::Heard);
        probes.heard(now + ms(300), endpoint, true, 4, &mut rng);
    }
    apply(&mut peer, PeerEvent::ProbeDue);
    probes.sent(50 * SECOND, &peer, Duration::ZERO);
    let wait = probes.next().unwrap() - 50 * SECOND;
    assert!(wait > ms(850) && wait <= ms(900), "{wait:?}");
    apply(&mut peer, PeerEvent::ProbeDue);
    probes.sent(51 * SECOND, &peer, Duration::ZERO);
    assert_eq!(probes.next(), Some(51 * SECOND + ms(100)));
}

#[test]
fn the_first_probe_waits_longer_if_our_own_timers_are_late() {
    let (mut probes, _) = probes();
    let mut peer = peer(11);
    for (second, wait) in [(1, ms(570)), (2, ms(100))] {
        apply(&mut peer, PeerEvent::ProbeDue);
        probes.sent(second * SECOND, &peer, ms(200));
        assert_eq!(probes.next(), Some(second * SECOND + wait));
    }
}
