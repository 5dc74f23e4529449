//! Counters of connection attempts to groups and servers.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use sidecar::balance::{CONNECT_TIME_BOUNDS, CheckOutcome, Checks, Method, ServerGroup, Tried};
use sidecar::fault::{Fault, Shortage};

use super::{CLIENT, address, config};

#[test]
fn running_out_of_descriptors_ejects_no_endpoint() {
    let group = ServerGroup::new("g", config(), Method::Wrr);
    group.set_learned(vec![
        ("s0".to_owned(), address(0), 10),
        ("s1".to_owned(), address(1), 10),
    ]);
    let pick = || group.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
    let lease = pick();
    assert_eq!(lease.server().name(), "s0");
    lease.failed(Fault::Own(Shortage::Descriptors)).eject();
    assert_eq!(group.connects().failed.of(Fault::Own(Shortage::Descriptors)), 1);
    assert_eq!(group.servers()[0].connects, group.connects());
    assert_eq!(group.counters().active(), 0);
    let order: Vec<_> = (0..4).map(|_| pick().server().name().to_owned()).collect();
    assert_eq!(order, ["s1", "s0", "s1", "s0"], "the rotation changed");
}

#[test]
fn a_groups_counters_include_removed_servers() {
    let group = ServerGroup::new("g", config(), Method::Wrr);
    group.set_learned(vec![("s0".to_owned(), address(0), 10)]);
    let pick = || group.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
    pick().established(Duration::from_millis(3));
    pick().failed(Fault::Peer).failed_over();
    let before = (group.counters().totals(), group.connects(), group.connect_times());
    group.set_learned(Vec::new());
    assert_eq!(
        (group.counters().totals(), group.connects(), group.connect_times()),
        before
    );
    assert_eq!(before.1.failovers, 1);
}

#[test]
fn checks_are_counted_by_outcome() {
    let group = ServerGroup::new("g", config(), Method::Wrr);
    group.set_learned(vec![("s0".to_owned(), address(0), 10)]);
    let server = group.checked().remove(0);
    for outcome in [CheckOutcome::Passed, CheckOutcome::Failed, CheckOutcome::Passed] {
        group.report(&server, outcome);
    }
    assert_eq!(
        group.servers()[0].checks,
        Checks {
            passed: 2,
            failed: 1,
            not_made: 0
        }
    );
    assert_eq!(server.checks(), group.servers()[0].checks);
}

#[test]
fn the_buckets_span_half_a_millisecond_to_four_seconds() {
    let ends = (CONNECT_TIME_BOUNDS[0], *CONNECT_TIME_BOUNDS.last().unwrap());
    assert_eq!(ends, (Duration::from_micros(500), Duration::from_secs(4)));
    assert!(CONNECT_TIME_BOUNDS.is_sorted());
}

proptest! {
    #[test]
    fn the_histogram_matches_the_observed_times(
        times in prop::collection::vec(
            prop_oneof![0u64..6_000_000_000, prop::sample::select(&CONNECT_TIME_BOUNDS[..]).prop_map(|d| d.as_nanos() as u64)],
            0..100,
        ),
    ) {
        let times: Vec<_> = times.into_iter().map(Duration::from_nanos).collect();
        let group = ServerGroup::new("g", config(), Method::Wrr);
        group.set_learned(vec![("s0".to_owned(), address(0), 10)]);
        for took in &times {
            group.pick(CLIENT, &Tried::new(Instant::now())).unwrap().established(*took);
        }
        let seen = group.connect_times();
        prop_assert_eq!(seen.count(), times.len() as u64);
        prop_assert_eq!(seen.sum(), times.iter().sum::<Duration>());
        let bounds = CONNECT_TIME_BOUNDS.into_iter().map(Some).chain([None]);
        for (expected, (bound, count)) in bounds.zip(seen.cumulative()) {
            prop_assert_eq!(bound, expected);
            let within = times.iter().filter(|t| bound.is_none_or(|b| **t <= b)).count();
            prop_assert_eq!(count, within as u64, "{:?}", bound);
        }
    }
}
