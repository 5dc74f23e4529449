//! Endpoints that no check has passed yet: no client meets them while another one is proven.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use sidecar::balance::service::LastChoice;
use sidecar::balance::{
    CheckConfig, CheckOutcome, LearnedServer, Method, Server, ServerGroup, ServerGroups, Tried,
    UNTESTED_TIMEOUT,
};
use sidecar::fault::Fault;

use super::{CLIENT, address, config, group, next, prove, shares};

fn server(index: usize, weight: u32) -> LearnedServer {
    LearnedServer {
        name: format!("s{index}"),
        address: address(index),
        weight,
        last_choice: None,
        at_node: true,
    }
}

fn elsewhere(index: usize, weight: u32) -> LearnedServer {
    LearnedServer {
        at_node: false,
        ..server(index, weight)
    }
}

fn learn(group: &ServerGroup, servers: impl IntoIterator<Item = LearnedServer>) {
    group.follow_mesh(servers.into_iter(), |_| false);
}

fn empty(method: Method) -> Arc<ServerGroup> {
    ServerGroup::new("group", config(), method)
}

fn named(group: &ServerGroup, name: &str) -> Arc<Server> {
    let found = group.checked().into_iter().find(|s| s.name() == name);
    found.unwrap()
}

fn check(group: &ServerGroup, name: &str, outcome: CheckOutcome) {
    group.report(&named(group, name), outcome);
}

fn request() -> Tried {
    Tried::new(Instant::now())
}

/// The names of the endpoints that a request tries which fails everywhere.
fn tries(group: &Arc<ServerGroup>) -> Vec<String> {
    let mut tried = request();
    std::iter::from_fn(|| {
        let lease = group.pick(CLIENT, &tried)?;
        let name = lease.server().name().to_owned();
        tried.add(&lease.failed(Fault::TimedOut));
        Some(name)
    })
    .collect()
}

#[test]
fn while_one_is_proven_the_others_get_nothing_before_their_first_check_passed() {
    for method in [Method::Wrr, Method::Wlc, Method::Source] {
        let group = empty(method);
        learn(&group, [server(0, 10)]);
        prove(&group);
        learn(&group, (0..6).map(|i| server(i, if i == 0 { 1 } else { 65_535 })));
        assert_eq!(shares(&group, 6, 100), [100, 0, 0, 0, 0, 0], "{method}");
    }
}

#[test]
fn the_first_check_that_passes_admits_it_with_its_exact_share() {
    let group = empty(Method::Wrr);
    learn(&group, [server(0, 10)]);
    prove(&group);
    learn(&group, [server(0, 10), server(1, 30)]);
    shares(&group, 2, 7);
    assert!(config().up > 1);
    check(&group, "s1", CheckOutcome::Failed);
    assert_eq!(shares(&group, 2, 4), [4, 0]);
    check(&group, "s1", CheckOutcome::Passed);
    assert_eq!(shares(&group, 2, 40), [10, 30]);
}

#[test]
fn where_none_is_proven_learned_ones_are_tried_at_once() {
    let group = empty(Method::Wrr);
    learn(&group, [server(0, 10), server(1, 10)]);
    assert_eq!(shares(&group, 2, 10), [5, 5]);
    assert!(group.servers().iter().all(|s| s.up));
}

#[test]
fn one_that_is_listed_as_up_takes_connections() {
    let group = empty(Method::Wrr);
    learn(&group, [server(0, 10)]);
    prove(&group);
    learn(&group, [server(0, 10), server(1, 10)]);
    let up = || group.servers().iter().map(|s| s.up).collect::<Vec<_>>();
    assert_eq!(up(), [true, false]);
    check(&group, "s1", CheckOutcome::Passed);
    assert_eq!(up(), [true, true]);
}

#[test]
fn a_configured_server_takes_nothing_while_others_are_proven_or_not() {
    let group = group(Method::Wrr, &[10]);
    group.add("s1", address(1), 10).unwrap();
    assert_eq!(shares(&group, 2, 10), [10, 0]);
    group.remove("s0").unwrap();
    assert!(group.pick(CLIENT, &request()).is_none());
    for outcome in [CheckOutcome::Failed, CheckOutcome::Passed] {
        check(&group, "s1", outcome);
    }
    assert_eq!(next(&group), "s1", "the first check that passes is enough");
}

#[test]
fn an_instance_away_from_its_node_gets_no_client_before_a_check_has_passed() {
    let group = empty(Method::Wrr);
    let set = ServerGroups::new("set");
    set.attach(Arc::clone(&group), 10).unwrap();
    let lost = LearnedServer {
        last_choice: Some(LastChoice::NodeDown),
        ..elsewhere(1, 10)
    };
    learn(&group, [elsewhere(0, 10), lost]);
    assert!(set.pick(CLIENT, &request()).is_none());
    assert!(set.server_at(address(0)).is_none());
    assert!(group.servers().iter().all(|s| !s.up));
    check(&group, "s0", CheckOutcome::Passed);
    assert_eq!(next(&group), "s0");
    assert!(set.server_at(address(0)).is_some());
}

#[test]
fn an_instance_that_is_no_longer_at_its_node_is_tried_no_longer() {
    let group = empty(Method::Wrr);
    learn(&group, [server(0, 10)]);
    assert_eq!(next(&group), "s0");
    learn(&group, [elsewhere(0, 10)]);
    assert!(group.pick(CLIENT, &request()).is_none());
}

#[test]
fn untested_ones_that_come_and_go_leave_the_rotation_alone() {
    let group = empty(Method::Wrr);
    let proven = [server(1, 10), server(2, 10)];
    learn(&group, proven.clone());
    prove(&group);
    for round in 0..10 {
        assert_eq!(next(&group), "s1", "round {round}");
        learn(&group, [server(0, 65_535)].into_iter().chain(proven.clone()));
        assert_eq!(next(&group), "s2", "round {round}");
        learn(&group, proven.clone());
    }
}

/// The attempts are short while there is another candidate, so that dead addresses cost little.
#[test]
fn an_attempt_at_an_untested_one_is_short_unless_it_is_the_only_candidate() {
    let slow = CheckConfig {
        timeout: UNTESTED_TIMEOUT * 10,
        ..config()
    };
    let group = ServerGroup::new("group", slow, Method::Wrr);
    learn(&group, [server(0, 10), server(1, 10)]);
    let mut tried = request();
    let first = group.pick(CLIENT, &tried).unwrap();
    assert_eq!(first.connect_timeout(), UNTESTED_TIMEOUT);
    tried.add(&first.failed(Fault::TimedOut));
    let second = group.pick(CLIENT, &tried).unwrap();
    assert_eq!(second.connect_timeout(), slow.timeout, "nothing else is left");
    prove(&group);
    let proven = group.pick(CLIENT, &request()).unwrap();
    assert_eq!(proven.connect_timeout(), slow.timeout);
}

#[test]
fn a_request_tries_two_untested_ones_before_an_instance_of_a_lost_node() {
    let group = empty(Method::Wrr);
    learn(&group, [server(9, 1)]);
    prove(&group);
    let lost = LearnedServer {
        last_choice: Some(LastChoice::NodeDown),
        ..server(9, 1)
    };
    learn(&group, (0..5).map(|i| server(i, 65_535)).chain([lost]));
    let tries = tries(&group);
    assert_eq!(tries.len(), 6, "{tries:?}");
    assert_eq!(tries.iter().position(|name| name == "s9"), Some(2), "{tries:?}");
}

#[test]
fn one_that_failed_a_client_comes_after_the_other_untested_ones() {
    let group = empty(Method::Wrr);
    learn(&group, [server(0, 65_535), server(1, 1)]);
    let lease = group.pick(CLIENT, &request()).unwrap();
    assert_eq!(lease.server().name(), "s0");
    lease.failed(Fault::TimedOut).eject();
    assert_eq!(shares(&group, 2, 10), [0, 10]);
}

/// What the history of an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum History {
    New,
    NewElsewhere,
    FailedClient,
    FailedChecks,
    Passed,
}

proptest! {
    /// No first pick of a request goes to an untested endpoint while a proven one is usable, and never to one that is not at
    /// its node.
    #[test]
    fn no_client_tests_an_endpoint_that_nobody_needs(
        histories in prop::collection::vec(
            (
                prop::sample::select(vec![
                    History::New,
                    History::NewElsewhere,
                    History::FailedClient,
                    History::FailedChecks,
                    History::Passed,
                ]),
                0..3u32,
            ),
            1..8,
        ),
        method in prop::sample::select(vec![Method::Wrr, Method::Wlc, Method::Source]),
    ) {
        let group = empty(method);
        let entry = |(index, (history, weight)): (usize, &(History, u32))| LearnedServer {
            at_node: *history != History::NewElsewhere,
            ..server(index, *weight)
        };
        // One after the other, so that each that is to fail a client is the only candidate.
        for (index, (history, weight)) in histories.iter().enumerate() {
            let others = (0..index).map(|i| LearnedServer { weight: 0, ..entry((i, &histories[i])) });
            learn(&group, others.chain([LearnedServer { weight: 1, ..entry((index, &(*history, *weight))) }]));
            let name = format!("s{index}");
            match history {
                History::New | History::NewElsewhere => {}
                History::FailedClient => group.pick(CLIENT, &request()).unwrap().failed(Fault::Peer).eject(),
                History::FailedChecks => (0..config().down).for_each(|_| check(&group, &name, CheckOutcome::Refused)),
                History::Passed => check(&group, &name, CheckOutcome::Passed),
            }
        }
        learn(&group, histories.iter().enumerate().map(entry));
        let proven = histories.contains(&(History::Passed, 1)) || histories.contains(&(History::Passed, 2));
        let mut open = Vec::new();
        for _ in 0..10 {
            let Some(lease) = group.pick(CLIENT, &request()) else { continue };
            let history = histories[super::index_of(lease.server().name())].0;
            prop_assert!(!proven || history == History::Passed, "{:?}", history);
            prop_assert!(history != History::NewElsewhere && history != History::FailedChecks);
            open.push(lease);
        }
        let candidates = histories.iter().filter(|(history, weight)| {
            *weight > 0 && !matches!(history, History::NewElsewhere | History::FailedChecks)
        });
        prop_assert_eq!(tries(&group).len(), candidates.count());
    }
}
