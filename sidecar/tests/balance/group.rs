//! A group's servers: adding, learning, health, ejection.

use std::time::Instant;

use sidecar::balance::{CheckConfig, CheckOutcome, Method, ServerError, ServerGroup, Tried};
use sidecar::fault::Fault;

use super::{CLIENT, address, config, group, next, set_up, shares};

fn learned(entries: &[(&str, usize, u32)]) -> Vec<(String, std::net::SocketAddr, u32)> {
    entries
        .iter()
        .map(|(name, index, weight)| ((*name).to_owned(), address(*index), *weight))
        .collect()
}

fn up(group: &ServerGroup) -> Vec<(String, bool)> {
    group.servers().into_iter().map(|s| (s.name, s.up)).collect()
}

#[test]
fn a_configured_server_takes_nothing_until_its_first_check_passes() {
    let group = ServerGroup::new("group", config(), Method::Wrr);
    group.add("one", address(1), 10).unwrap();
    assert!(group.pick(CLIENT, &Tried::new(Instant::now())).is_none());
    let server = group.checked().remove(0);
    assert_eq!(group.report(&server, CheckOutcome::Passed), Some(true));
    assert_eq!(next(&group), "one");
}

#[test]
fn a_learned_server_takes_connections_at_once_and_checks_can_take_it_down() {
    let group = ServerGroup::new("group", config(), Method::Wrr);
    group.set_learned(learned(&[("one", 1, 10)]));
    assert_eq!(next(&group), "one");
    let server = group.checked().remove(0);
    assert_eq!(group.report(&server, CheckOutcome::Failed), None);
    assert_eq!(group.report(&server, CheckOutcome::Failed), None);
    assert_eq!(group.report(&server, CheckOutcome::Failed), Some(false));
    assert!(group.pick(CLIENT, &Tried::new(Instant::now())).is_none());
}

#[test]
fn a_server_that_is_learned_again_keeps_health_counters_and_connections() {
    let group = ServerGroup::new("group", config(), Method::Wrr);
    group.set_learned(learned(&[("one", 1, 10), ("two", 2, 10), ("three", 3, 10)]));
    set_up(&group, "two", false);
    let lease = group.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
    assert_eq!(lease.server().name(), "one");

    group.set_learned(learned(&[
        ("four", 4, 10),
        ("two", 2, 20),
        ("one", 1, 10),
        ("three", 33, 10),
    ]));
    assert_eq!(
        up(&group),
        [
            ("four".to_owned(), true),
            ("two".to_owned(), false),
            ("one".to_owned(), true),
            ("three".to_owned(), true)
        ]
    );
    let servers = group.servers();
    assert_eq!(servers[1].weight, 20);
    assert_eq!(servers[2].totals.active, 1);
    assert_eq!(servers[3].address, address(33));
    drop(lease);
    assert_eq!(group.servers()[2].totals.active, 0);
}

#[test]
fn learning_servers_leaves_configured_ones_alone() {
    let group = group(Method::Wrr, &[10]);
    group.set_learned(learned(&[("s0", 7, 5), ("other", 8, 5), ("other", 9, 5)]));
    let servers = group.servers();
    assert_eq!(servers.len(), 2, "{servers:?}");
    assert_eq!((servers[0].address, servers[0].learned), (address(0), false));
    assert_eq!((servers[1].address, servers[1].learned), (address(8), true));
    group.set_learned(Vec::new());
    assert_eq!(up(&group), [("s0".to_owned(), true)]);
}

#[test]
fn learning_the_same_servers_again_keeps_the_rotation() {
    let group = ServerGroup::new("group", config(), Method::Wrr);
    let servers = learned(&[("one", 1, 10), ("two", 2, 10)]);
    group.set_learned(servers.clone());
    let mut changes = group.watch_membership();
    changes.mark_unchanged();
    for _ in 0..10 {
        assert_eq!(next(&group), "one");
        group.set_learned(servers.clone());
        assert_eq!(next(&group), "two");
        group.set_learned(servers.clone());
    }
    assert!(!changes.has_changed().unwrap());
}

#[test]
fn an_ejected_endpoint_is_picked_last_until_a_check_passes() {
    let group = group(Method::Wrr, &[10, 10, 10]);
    let lease = group.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
    assert_eq!(lease.server().name(), "s0");
    lease.failed(Fault::Peer).eject();
    assert_eq!(shares(&group, 3, 20), [0, 10, 10]);
    set_up(&group, "s1", false);
    set_up(&group, "s2", false);
    assert_eq!(next(&group), "s0", "an ejected endpoint is better than none");
    set_up(&group, "s1", true);
    assert_eq!(shares(&group, 3, 5), [0, 5, 0]);
    let suspect = group.checked().remove(0);
    group.report(&suspect, CheckOutcome::Failed);
    assert_eq!(shares(&group, 3, 5), [0, 5, 0]);
    group.report(&suspect, CheckOutcome::Passed);
    assert_eq!(shares(&group, 3, 10), [5, 5, 0]);
}

#[test]
fn changing_an_unknown_or_learned_server_is_an_error() {
    let group = group(Method::Wrr, &[10]);
    group.set_learned(learned(&[("mesh", 5, 10)]));
    let (in_group, of) = ("group".to_owned(), str::to_owned);
    let exists = |name: &str| {
        Err(ServerError::Exists {
            group: in_group.clone(),
            name: of(name),
        })
    };
    let unknown = |name: &str| {
        Err(ServerError::Unknown {
            group: in_group.clone(),
            name: of(name),
        })
    };
    let learned = |name: &str| {
        Err(ServerError::Learned {
            group: in_group.clone(),
            name: of(name),
        })
    };
    assert_eq!(group.add("s0", address(9), 1), exists("s0"));
    assert_eq!(group.add("mesh", address(9), 1), exists("mesh"));
    assert_eq!(group.remove("nope"), unknown("nope"));
    assert_eq!(group.remove("mesh"), learned("mesh"));
    assert_eq!(group.set_weight("nope", 1), unknown("nope"));
    assert_eq!(group.set_weight("mesh", 1), learned("mesh"));
    assert_eq!(group.servers().len(), 2);
}

#[test]
fn a_removed_server_gets_no_picks_or_reports_but_keeps_its_connections() {
    let group = group(Method::Wrr, &[10, 10]);
    let lease = group.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
    let server = group.checked().remove(0);
    group.remove("s0").unwrap();
    assert_eq!(shares(&group, 2, 4), [0, 4]);
    assert_eq!(lease.address(), address(0));
    assert_eq!(server.counters().active(), 1);
    // The same name added again is another server: it starts down, and the checks of the old one do not count for it.
    group.add("s0", address(0), 10).unwrap();
    assert_eq!(group.report(&server, CheckOutcome::Passed), None);
    assert_eq!(up(&group), [("s1".to_owned(), true), ("s0".to_owned(), false)]);
}

#[test]
fn check_settings_and_method_change_live() {
    let group = group(Method::Wrr, &[10]);
    let mut changes = group.watch_check_config();
    let config = CheckConfig { down: 1, ..config() };
    group.set_check_config(config);
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), config);
    let server = group.checked().remove(0);
    assert_eq!(group.report(&server, CheckOutcome::Failed), Some(false));
    group.set_method(Method::Source);
    assert_eq!(group.method(), Method::Source);
}

#[test]
fn methods_have_the_names_used_in_commands() {
    for (word, method) in [
        ("wrr", Method::Wrr),
        ("wlc", Method::Wlc),
        ("source", Method::Source),
    ] {
        assert_eq!(word.parse(), Ok(method));
        assert_eq!(method.to_string(), word);
    }
    let error = "rr".parse::<Method>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`rr` is not a balancing method: expected wrr, wlc or source"
    );
}
