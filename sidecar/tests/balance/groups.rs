//! A set of groups: which group gets a connection, and which group a destination names.

use std::sync::Arc;
use std::time::Instant;

use sidecar::balance::{AttachError, Method, ServerGroup, ServerGroups, Tried};
use sidecar::fault::Fault;

use super::{CLIENT, address, config, prove, set_up};

/// A group with one learned server, `<name>-1`, that is proven.
fn one_server(name: &str, index: usize) -> Arc<ServerGroup> {
    let group = ServerGroup::new(name, config(), Method::Wrr);
    group.set_learned(vec![(format!("{name}-1"), address(index), 10)]);
    prove(&group);
    group
}

fn next(groups: &ServerGroups) -> Option<String> {
    let lease = groups.pick(CLIENT, &Tried::new(Instant::now()))?;
    Some(lease.group().name().to_owned())
}

fn share(groups: &ServerGroups, count: usize, name: &str) -> usize {
    (0..count)
        .filter(|_| next(groups).as_deref() == Some(name))
        .count()
}

#[test]
fn groups_with_candidates_take_turns_by_weight() {
    let groups = ServerGroups::new("set");
    assert_eq!(next(&groups), None);
    let (a, b) = (one_server("a", 1), one_server("b", 2));
    groups.attach(Arc::clone(&a), 15).unwrap();
    groups.attach(Arc::clone(&b), 10).unwrap();
    groups.attach(one_server("none", 3), 0).unwrap();
    assert_eq!(share(&groups, 25, "a"), 15);
    assert_eq!(share(&groups, 25, "b"), 10);
    set_up(&a, "a-1", false);
    assert_eq!(share(&groups, 10, "b"), 10);
    set_up(&a, "a-1", true);
    groups.set_weight("a", 10).unwrap();
    let picks: Vec<_> = (0..4).filter_map(|_| next(&groups)).collect();
    assert_eq!(picks, ["a", "b", "a", "b"]);
    groups.detach("a").unwrap();
    assert_eq!(share(&groups, 10, "b"), 10);
    set_up(&b, "b-1", false);
    assert_eq!(next(&groups), None);
}

#[test]
fn a_group_of_ejected_endpoints_is_last_and_tried_addresses_are_left_out_of_all_groups() {
    let groups = ServerGroups::new("set");
    groups.attach(one_server("a", 1), 10).unwrap();
    groups.attach(one_server("b", 2), 10).unwrap();
    groups.attach(one_server("same-as-a", 1), 10).unwrap();
    let lease = groups.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
    assert_eq!(lease.group().name(), "a");
    let failed = lease.failed(Fault::Peer);
    failed.eject();
    assert_eq!(share(&groups, 10, "a"), 0);
    let mut tried = Tried::new(Instant::now());
    tried.add(&failed);
    let second = groups.pick(CLIENT, &tried).unwrap();
    assert_eq!(second.group().name(), "b");
    tried.add(&second.failed(Fault::Peer));
    assert!(groups.pick(CLIENT, &tried).is_none());
}

#[test]
fn a_destination_matches_a_groups_name_as_in_dns() {
    let groups = ServerGroups::new("set");
    groups.attach(one_server("a.my.service.com:80", 1), 10).unwrap();
    groups.attach(one_server("[::1]:80", 2), 10).unwrap();
    for name in [
        "a.my.service.com:80",
        "A.My.Service.COM:80",
        "a.my.service.com.:80",
        "[::1]:80",
    ] {
        assert!(groups.group_named(name).is_some(), "{name}");
    }
    for name in [
        "a.my.service.com:81",
        "a.my.service.com",
        "a.my.service.com..:80",
        "my.service.com:80",
        "xa.my.service.com:80",
        "",
        ":",
    ] {
        assert!(groups.group_named(name).is_none(), "{name}");
    }
}

#[test]
fn an_address_selects_its_server_even_if_it_is_down() {
    let groups = ServerGroups::new("set");
    let group = one_server("a", 1);
    set_up(&group, "a-1", false);
    groups.attach(Arc::clone(&group), 10).unwrap();
    let lease = groups.server_at(address(1)).unwrap();
    assert_eq!(lease.server().name(), "a-1");
    assert_eq!(group.counters().active(), 1);
    let mut other_port = address(1);
    other_port.set_port(1);
    assert!(groups.server_at(other_port).is_none());
}

#[test]
fn a_group_is_attached_to_a_set_at_most_once() {
    let groups = ServerGroups::new("set");
    groups.attach(one_server("a", 1), 10).unwrap();
    let (set, group) = ("set".to_owned(), "a".to_owned());
    let twice = groups.attach(one_server("a", 2), 10);
    assert_eq!(
        twice,
        Err(AttachError::Attached {
            groups: set.clone(),
            group
        })
    );
    let group = "b".to_owned();
    let error = Err(AttachError::NotAttached { groups: set, group });
    assert_eq!(groups.detach("b"), error);
    assert_eq!(groups.set_weight("b", 1), error);
    assert_eq!(groups.groups().len(), 1);
    assert_eq!(groups.groups()[0].weight, 10);
}
