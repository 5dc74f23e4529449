//! Weighted round robin: exact over a cycle, smooth within it.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use proptest::prelude::*;
use sidecar::balance::{Method, Tried};
use sidecar::fault::Fault;

use super::{CLIENT, group, index_of, next, set_up, shares};

#[test]
fn two_servers_of_equal_weight_alternate_strictly() {
    let group = group(Method::Wrr, &[10, 10]);
    for _ in 0..100 {
        assert_eq!([next(&group), next(&group)], ["s0", "s1"]);
    }
}

#[test]
fn fifteen_to_ten_is_exact_and_interleaved() {
    let group = group(Method::Wrr, &[15, 10]);
    for _ in 0..4 {
        let picks: Vec<String> = (0..25).map(|_| next(&group)).collect();
        assert_eq!(picks.iter().filter(|name| *name == "s0").count(), 15);
        assert!(
            !picks.windows(2).any(|w| w[0] == "s1" && w[1] == "s1"),
            "{picks:?}"
        );
        assert!(
            !picks.windows(3).any(|w| w.iter().all(|name| name == "s0")),
            "{picks:?}"
        );
    }
}

#[test]
fn all_threads_share_one_cycle() {
    let group = group(Method::Wrr, &[15, 10, 0, 25]);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..2_500 {
                    assert!(group.pick(CLIENT, &Tried::new(Instant::now())).is_some());
                }
            });
        }
    });
    // 10,000 picks are 200 whole cycles: the next one starts as the first did.
    assert_eq!(shares(&group, 4, 50), [15, 10, 0, 25]);
}

#[test]
fn a_lease_counts_as_active_until_it_is_dropped() {
    let group = group(Method::Wrr, &[1]);
    let lease = group.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
    assert_eq!(group.servers()[0].totals.active, 1);
    assert_eq!(group.counters().active(), 1);
    drop(lease);
    assert_eq!(group.servers()[0].totals.active, 0);
    assert_eq!(group.counters().active(), 0);
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1u32..40, 1..7)
}

proptest! {
    #[test]
    fn a_cycle_gives_each_exactly_its_weight(weights in weights(), cycles in 1usize..4) {
        let group = group(Method::Wrr, &weights);
        let total = weights.iter().sum::<u32>() as usize;
        for _ in 0..cycles {
            prop_assert_eq!(&shares(&group, weights.len(), total), &weights);
        }
    }

    /// After any number of picks, no server is ahead of its share by a whole connection.
    #[test]
    fn picks_are_spread_evenly(weights in weights()) {
        let group = group(Method::Wrr, &weights);
        let total = weights.iter().sum::<u32>();
        let mut counts = vec![0; weights.len()];
        for picks in 1..=total {
            counts[index_of(&next(&group))] += 1;
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!(count * total < picks * weight + total, "{:?} of {:?}", counts, weights);
            }
        }
    }

    #[test]
    fn a_new_weight_applies_from_the_next_pick(
        before in weights(), after in prop::collection::vec(1u32..40, 6), picks in 0usize..100,
    ) {
        let group = group(Method::Wrr, &before);
        shares(&group, before.len(), picks);
        let after = &after[..before.len()];
        prop_assume!(before != after);
        for (index, weight) in after.iter().enumerate() {
            group.set_weight(&format!("s{index}"), *weight).unwrap();
        }
        let total = after.iter().sum::<u32>() as usize;
        prop_assert_eq!(&shares(&group, after.len(), total), after);
    }

    #[test]
    fn servers_that_are_up_share_exactly(
        weights in prop::collection::vec(0u32..20, 2..7), up in prop::collection::vec(any::<bool>(), 7), picks in 0usize..50,
    ) {
        let group = group(Method::Wrr, &weights);
        if weights.iter().any(|w| *w > 0) {
            shares(&group, weights.len(), picks);
        }
        let mut expected = weights.clone();
        for (index, up) in up.iter().take(weights.len()).enumerate() {
            if !up {
                set_up(&group, &format!("s{index}"), false);
                expected[index] = 0;
            }
        }
        let total = expected.iter().sum::<u32>() as usize;
        if total == 0 {
            prop_assert!(group.pick(CLIENT, &Tried::new(Instant::now())).is_none());
        } else if expected != weights {
            prop_assert_eq!(shares(&group, weights.len(), total), expected);
        }
    }

    #[test]
    fn a_connection_tries_each_candidate_once(weights in weights()) {
        let group = group(Method::Wrr, &weights);
        let mut tried = Tried::new(Instant::now());
        let mut seen = Vec::new();
        while let Some(lease) = group.pick(CLIENT, &tried) {
            prop_assert!(seen.len() < weights.len());
            seen.push(lease.server().name().to_owned());
            tried.add(&lease.failed(Fault::Peer));
        }
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len(), weights.len());
        let group = Arc::clone(&group);
        prop_assert!(group.pick(CLIENT, &Tried::new(Instant::now())).is_some());
    }
}
