//! Outlier ejection: which servers requests get while some answer with errors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sidecar::balance::{Method, Outcome, OutlierEjection, ServerGroup, Tried};

use super::{CLIENT, group};

const TIME: Duration = Duration::from_secs(30);

fn ejecting(servers: usize, failures: u32) -> Arc<ServerGroup> {
    let group = group(Method::Wrr, &vec![10; servers]);
    group.set_outlier_ejection(Some(OutlierEjection { failures, time: TIME }));
    group
}

/// One request at this time, whose server fails it if it is among `failing`. Returns the server.
fn request(group: &Arc<ServerGroup>, failing: &[&str], now: Instant) -> String {
    let lease = group.pick(CLIENT, &Tried::new(now)).expect("a candidate");
    let name = lease.server().name().to_owned();
    let outcome = match failing.contains(&name.as_str()) {
        true => Outcome::Failed,
        false => Outcome::Succeeded,
    };
    lease.record(outcome, now);
    name
}

#[test]
fn a_failing_server_is_left_out_until_one_request_has_tried_it_again() {
    let (group, begin) = (ejecting(3, 2), Instant::now());
    let served = |failing: &[&str], now, count| -> Vec<String> {
        (0..count).map(|_| request(&group, failing, now)).collect()
    };
    // The cycle begins again without it.
    assert_eq!(served(&["s1"], begin, 6), ["s0", "s1", "s2", "s0", "s1", "s0"]);
    assert_eq!(group.ejections(), 1);
    assert!(group.servers()[1].ejected);
    let before = begin + TIME - Duration::from_millis(1);
    assert!(!served(&["s1"], before, 10).contains(&"s1".to_owned()));
    let tried = served(&["s1"], begin + TIME, 10);
    assert_eq!(
        tried.iter().filter(|name| *name == "s1").count(),
        1,
        "one request decides: {tried:?}"
    );
    assert_eq!(group.ejections(), 2);
    let healed = served(&[], begin + 2 * TIME, 30);
    assert!(!group.servers()[1].ejected);
    let last: Vec<_> = healed[21..].iter().map(|name| &name[..]).collect();
    assert_eq!(last.iter().filter(|name| **name == "s1").count(), 3, "{last:?}");
}

#[test]
fn an_ejected_server_serves_if_no_other_is_left() {
    let (group, now) = (ejecting(2, 1), Instant::now());
    while !group.servers()[1].ejected {
        request(&group, &["s1"], now);
    }
    group.remove("s0").unwrap();
    assert_eq!(request(&group, &[], now), "s1");
}

#[test]
fn without_ejection_failures_change_nothing() {
    let (group, now) = (ejecting(2, 1), Instant::now());
    while !group.servers()[1].ejected {
        request(&group, &["s1"], now);
    }
    group.set_outlier_ejection(None);
    let served: Vec<_> = (0..4).map(|_| request(&group, &["s0", "s1"], now)).collect();
    assert_eq!(served, ["s0", "s1", "s0", "s1"]);
}

proptest! {
    #[test]
    fn never_more_than_half_of_the_servers_are_ejected(
        servers in 1usize..8, failures in 1u32..4, steps in prop::collection::vec((any::<bool>(), 0u64..20), 1..300),
    ) {
        let (group, mut now) = (ejecting(servers, failures), Instant::now());
        for (fails, seconds) in steps {
            now += Duration::from_secs(seconds);
            let lease = group.pick(CLIENT, &Tried::new(now)).expect("a candidate");
            lease.record(if fails { Outcome::Failed } else { Outcome::Succeeded }, now);
            let ejected = group.servers().iter().filter(|server| server.ejected).count();
            prop_assert!(2 * ejected <= servers, "{ejected} of {servers}");
        }
    }
}
