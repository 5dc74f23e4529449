//! Source affinity: a client keeps its server, and changes move as few clients as possible.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use sidecar::balance::{Method, ServerGroup, Tried};
use sidecar::fault::Fault;

use super::{address, group, index_of, next_for, set_up};

fn client(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a01_0000 + number))
}

fn assignments(group: &Arc<ServerGroup>) -> Vec<String> {
    (0..500).map(|n| next_for(group, client(n))).collect()
}

#[test]
fn shares_follow_the_weights() {
    let group = group(Method::Source, &[10, 20, 10]);
    let assigned: Vec<String> = (0..8_000).map(|n| next_for(&group, client(n))).collect();
    let share = |name: &str| assigned.iter().filter(|a| *a == name).count();
    // The hash and the clients are fixed, so these counts are too.
    assert!((1_850..2_150).contains(&share("s0")), "{}", share("s0"));
    assert!((3_800..4_200).contains(&share("s1")), "{}", share("s1"));
    assert!((1_850..2_150).contains(&share("s2")), "{}", share("s2"));
}

/// Expected values computed by another program from the documented hash. Changing the hash would move every client of
/// every mesh at its next update.
#[test]
fn the_hash_is_the_documented_one() {
    let group = group(Method::Source, &[10, 20, 10]);
    let assigned: Vec<usize> = (0..12).map(|n| index_of(&next_for(&group, client(n)))).collect();
    assert_eq!(assigned, [1, 1, 1, 0, 2, 1, 1, 1, 1, 1, 2, 1]);
}

#[test]
fn an_ipv4_mapped_client_gets_the_server_of_its_ipv4_address() {
    let group = group(Method::Source, &[1; 7]);
    for n in 0..100 {
        let IpAddr::V4(plain) = client(n) else {
            unreachable!()
        };
        assert_eq!(
            next_for(&group, plain.into()),
            next_for(&group, plain.to_ipv6_mapped().into())
        );
    }
}

#[test]
fn a_client_whose_server_failed_goes_to_the_same_second_choice_every_time() {
    let group = group(Method::Source, &[1; 5]);
    let first = group.pick(client(1), &Tried::new(Instant::now())).unwrap();
    let mut tried = Tried::new(Instant::now());
    let address = first.address();
    tried.add(&first.failed(Fault::Peer));
    let second = group.pick(client(1), &tried).unwrap().address();
    assert_ne!(second, address);
    for _ in 0..10 {
        assert_eq!(group.pick(client(1), &tried).unwrap().address(), second);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_a_lost_servers_clients_move_and_they_return_with_it(
        weights in prop::collection::vec(1u32..20, 2..8), gone in any::<prop::sample::Index>(),
    ) {
        let group = group(Method::Source, &weights);
        let before = assignments(&group);
        let gone = format!("s{}", gone.index(weights.len()));
        set_up(&group, &gone, false);
        for (was, is) in before.iter().zip(assignments(&group)) {
            prop_assert_ne!(&is, &gone);
            prop_assert!(*was == is || *was == gone, "a client moved from {} to {}", was, is);
        }
        set_up(&group, &gone, true);
        prop_assert_eq!(assignments(&group), before);
    }

    #[test]
    fn a_new_server_takes_clients_and_no_others_move(
        weights in prop::collection::vec(1u32..20, 1..8), weight in 1u32..20,
    ) {
        let group = group(Method::Source, &weights);
        let before = assignments(&group);
        group.set_learned(vec![("new".to_owned(), address(100), weight)]);
        for (was, is) in before.iter().zip(assignments(&group)) {
            prop_assert!(*was == is || is == "new", "a client moved from {} to {}", was, is);
        }
    }
}
