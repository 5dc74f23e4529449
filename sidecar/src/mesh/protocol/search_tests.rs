use rand::SeedableRng;

use super::super::peer::{PeerEvent, Source};
use super::*;
use crate::mesh::settings::DiscoverySettings;
use crate::mesh::wire::Node;

const SECOND: Duration = Duration::from_secs(1);

fn node(host: u8) -> Node {
    Node::new("node", IpAddr::from([10, 0, 0, host]), 31000, 31000).unwrap()
}

fn searches() -> (Searches, Membership, StdRng) {
    let mut rng = StdRng::seed_from_u64(1);
    let settings = DiscoverySettings {
        search_mask: 24,
        search_min_udp_port: 31000,
        search_max_udp_port: 31000,
        ..DiscoverySettings::default()
    };
    let search = Search::new(node(10).datagram_address(), &settings);
    let searches = Searches::new(Arc::default(), search, &mut rng);
    (searches, Membership::new(node(10), Arc::default()), rng)
}

fn bring_up(membership: &mut Membership) {
    membership.hear(SECOND, &node(11), Source::Direct);
    membership.apply(SECOND, node(11).endpoint(), PeerEvent::Verified);
}

#[test]
fn rounds_of_a_lone_node_become_rarer() {
    let (mut searches, membership, mut rng) = searches();
    let mut pauses = Vec::new();
    while pauses.len() < 8 {
        let now = searches.near_at();
        if searches.near(now, &membership, &mut rng).is_empty() {
            pauses.push((searches.near_at() - now).as_millis());
        }
    }
    for (pause, expected) in pauses
        .iter()
        .zip([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    {
        assert!(
            (expected * 9 / 10..=expected * 11 / 10).contains(pause),
            "{pauses:?}"
        );
    }
}

#[test]
fn a_settled_node_searches_one_near_address_at_a_time() {
    let (mut searches, mut membership, mut rng) = searches();
    bring_up(&mut membership);
    let mut rounds = 0;
    while rounds < 2 {
        rounds += u32::from(searches.near(SECOND, &membership, &mut rng).is_empty());
    }
    assert_eq!(searches.near(SECOND, &membership, &mut rng).len(), 1);
    // 33 addresses in 60 s.
    let pause = searches.near_at() - SECOND;
    assert!(pause > SECOND && pause < 3 * SECOND, "{pause:?}");
}

#[test]
fn only_the_first_sweep_is_fast() {
    let (mut searches, mut membership, mut rng) = searches();
    bring_up(&mut membership);
    let mut pause = |searches: &mut Searches| {
        let over = searches.far(SECOND, &membership, &mut rng).is_empty();
        (over, searches.far_at() - SECOND)
    };
    assert_eq!(pause(&mut searches), (false, Duration::from_millis(5)));
    while !pause(&mut searches).0 {}
    assert_eq!(pause(&mut searches), (false, SECOND));
}

#[test]
fn a_node_whose_last_peer_is_gone_searches_again_soon() {
    let (mut searches, mut membership, mut rng) = searches();
    while !searches.near(SECOND, &membership, &mut rng).is_empty() {}
    bring_up(&mut membership);
    searches.near_at = 50 * SECOND;
    searches.peer_gone(SECOND, &membership, &mut rng);
    assert_eq!(searches.near_at(), 50 * SECOND, "a peer is up");
    membership.forget(SECOND, node(11).endpoint());
    searches.peer_gone(SECOND, &membership, &mut rng);
    assert!(searches.near_at() < 2 * SECOND && searches.far_at() < 2 * SECOND);
}
