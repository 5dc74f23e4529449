use std::net::IpAddr;

use super::PeerEvent::{
    CheckFailed, Datagram, GossipEnded, GossipSeen, Heard, Introduced, LeaveClaimed, LeaveRefuted, ProbeDue,
    ProbeUnsent, Removed, Seen, Suspected, Verified,
};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const EVENTS: [PeerEvent; 14] = [
    Introduced,
    Seen,
    Datagram,
    Verified,
    Heard,
    ProbeDue,
    ProbeUnsent,
    Suspected,
    CheckFailed,
    GossipSeen,
    GossipEnded,
    LeaveClaimed,
    LeaveRefuted,
    Removed,
];

fn peer() -> Peer {
    let node = Node::new("peer", IpAddr::from([10, 0, 0, 2]), 31000, 31000).unwrap();
    Peer::new(node, Duration::ZERO, false)
}

/// A peer after these events, all of them at one second.
fn after(events: &[PeerEvent]) -> Peer {
    let mut peer = peer();
    for event in events {
        apply(&mut peer, *event);
    }
    peer
}

fn apply(peer: &mut Peer, event: PeerEvent) -> Transition {
    peer.apply(SECOND, event, &Config::default())
}

#[test]
fn only_a_verified_answer_brings_a_peer_up() {
    for event in EVENTS.into_iter().filter(|event| *event != Verified) {
        for before in [
            &[][..],
            &[GossipSeen, Verified, CheckFailed, CheckFailed, CheckFailed],
        ] {
            assert!(!after(before).is_up());
            let mut peer = after(before);
            assert_ne!(apply(&mut peer, event), Transition::CameUp, "{event:?}");
        }
    }
    assert_eq!(apply(&mut peer(), Verified), Transition::CameUp);
}

#[test]
fn only_probes_and_checks_take_a_peer_down() {
    let quiet = EVENTS
        .into_iter()
        .filter(|event| ![ProbeDue, CheckFailed, Removed].contains(event));
    for event in quiet {
        let mut peer = after(&[Verified, GossipSeen]);
        for _ in 0..20 {
            assert_eq!(apply(&mut peer, event), Transition::None, "{event:?}");
        }
    }
}

#[test]
fn six_unanswered_probes_take_a_peer_down_when_the_next_is_due() {
    let mut peer = after(&[GossipSeen, Verified]);
    for unanswered in 1..=6 {
        assert_eq!(apply(&mut peer, ProbeDue), Transition::None);
        assert_eq!(peer.unanswered(), unanswered);
        let suspect = matches!(peer.state(), PeerState::Suspect { .. });
        assert_eq!(suspect, unanswered > 1);
    }
    assert_eq!(apply(&mut peer, ProbeDue), Transition::WentDown);
    assert!(peer.is_down() && peer.no_datagram());
    assert_eq!(apply(&mut peer, ProbeDue), Transition::None);
}

#[test]
fn a_peer_that_is_heard_is_no_longer_suspect() {
    for suspicious in [
        &[ProbeDue, ProbeDue, ProbeDue][..],
        &[Suspected],
        &[Suspected, ProbeDue],
    ] {
        let mut peer = after(&[GossipSeen, Verified]);
        for event in suspicious {
            apply(&mut peer, *event);
        }
        assert!(matches!(peer.state(), PeerState::Suspect { .. }));
        peer.apply(2 * SECOND, Heard, &Config::default());
        let vitals = Vitals {
            last_heard: 2 * SECOND,
            failed_checks: 0,
            no_datagram: false,
        };
        let probe_pending = false;
        assert_eq!(
            *peer.state(),
            PeerState::Alive {
                vitals,
                probe_pending
            }
        );
    }
}

#[test]
fn a_report_makes_a_peer_suspect_but_counts_as_no_probe() {
    let peer = after(&[GossipSeen, Verified, Suspected]);
    assert!(matches!(
        peer.state(),
        PeerState::Suspect {
            probes: 0,
            reported: true,
            ..
        }
    ));
    let peer = after(&[GossipSeen, Verified, ProbeDue, ProbeDue, Suspected]);
    assert!(matches!(
        peer.state(),
        PeerState::Suspect {
            probes: 2,
            reported: true,
            ..
        }
    ));
}

#[test]
fn three_failed_checks_in_a_row_take_a_peer_down() {
    let mut peer = after(&[
        Verified,
        CheckFailed,
        CheckFailed,
        Verified,
        CheckFailed,
        CheckFailed,
    ]);
    assert!(peer.is_up() && peer.is_failing());
    assert_eq!(apply(&mut peer, CheckFailed), Transition::WentDown);
    assert_eq!(peer.retries(), 1, "that check counts for the next pause");
}

#[test]
fn gossip_does_not_make_up_for_failed_checks() {
    let mut peer = after(&[GossipSeen, Verified, CheckFailed, CheckFailed, Heard]);
    assert!(peer.is_failing());
    assert_eq!(apply(&mut peer, CheckFailed), Transition::WentDown);
    assert_eq!(peer.retries(), 0, "probes look for it");
}

#[test]
fn a_peer_that_writes_itself_is_direct_until_its_next_failed_check() {
    let mut peer = peer();
    for (event, source) in [
        (Seen, Source::Relayed),
        (Introduced, Source::Direct),
        (CheckFailed, Source::Relayed),
    ] {
        apply(&mut peer, event);
        assert_eq!(peer.source(), source);
    }
}

#[test]
fn signs_of_life_reset_the_backoff() {
    let mut peer = after(&[CheckFailed, CheckFailed]);
    assert_eq!(peer.retries(), 2);
    apply(&mut peer, Seen);
    assert_eq!(peer.retries(), 0);
}

#[test]
fn a_peer_stays_silent_until_a_datagram_comes_even_if_it_answers() {
    let mut peer = after(&[Verified, CheckFailed, CheckFailed, CheckFailed, Verified]);
    assert!(peer.is_up() && peer.no_datagram());
    apply(&mut peer, Datagram);
    assert!(!peer.no_datagram());
}

#[test]
fn a_peer_that_gossips_no_more_is_not_suspect() {
    let peer = after(&[GossipSeen, Verified, ProbeDue, ProbeDue, GossipEnded]);
    assert!(!peer.gossips());
    assert_eq!(peer.unanswered(), 0);
}

#[test]
fn peers_expire_unless_they_are_up() {
    let config = Config::default();
    assert_eq!(peer().expires_at(&config), Some(config.forget_unverified));
    assert_eq!(after(&[Verified]).expires_at(&config), None);
    let down = after(&[Verified, CheckFailed, CheckFailed, CheckFailed]);
    assert_eq!(down.expires_at(&config), Some(SECOND + config.forget_down));
}

#[test]
fn an_echo_expires_with_its_third_failed_check() {
    let config = Config::default();
    let mut echo = Peer::new(peer().node, Duration::ZERO, true);
    for expected in [config.forget_unverified, config.forget_unverified, Duration::ZERO] {
        apply(&mut echo, CheckFailed);
        assert_eq!(echo.expires_at(&config), Some(expected));
    }
}

#[test]
fn unverified_peers_make_room_first_and_those_that_are_up_never() {
    let (unverified, up) = (peer(), after(&[Verified]));
    let down = after(&[Verified, CheckFailed, CheckFailed, CheckFailed]);
    assert!(unverified.eviction_rank() < down.eviction_rank());
    assert_eq!(up.eviction_rank(), None);
}

#[test]
fn a_peer_that_left_stays_so() {
    let mut peer = after(&[Verified]);
    assert_eq!(apply(&mut peer, Removed), Transition::Left);
    for event in EVENTS {
        apply(&mut peer, event);
        assert_eq!(*peer.state(), PeerState::Left);
    }
}

#[test]
fn a_leave_is_a_claim_that_changes_no_state_and_counts_once_a_second() {
    for before in [
        &[][..],
        &[Verified, GossipSeen],
        &[Verified, GossipSeen, ProbeDue, ProbeDue],
    ] {
        let mut peer = after(before);
        let state = *peer.state();
        let claim = |peer: &mut Peer, event, at| {
            peer.apply(at, event, &Config::default());
            peer.leave_claim()
        };
        let (half, until) = (SECOND * 3 / 2, 2 * SECOND);
        let pending = LeaveClaim::Pending { since: SECOND };
        assert_eq!(claim(&mut peer, LeaveClaimed, SECOND), pending);
        assert_eq!(claim(&mut peer, LeaveClaimed, half), pending);
        let asked = |again| LeaveClaim::Asked { until, again };
        assert_eq!(claim(&mut peer, LeaveRefuted, SECOND), asked(false));
        assert_eq!(claim(&mut peer, LeaveClaimed, half), asked(true));
        assert_eq!(
            claim(&mut peer, LeaveClaimed, until),
            LeaveClaim::Pending { since: until }
        );
        assert_eq!(*peer.state(), state);
    }
}
