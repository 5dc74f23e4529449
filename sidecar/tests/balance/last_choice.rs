//! Last choices: picked only while nothing else is usable, two by one request, and none for a second after they failed.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sidecar::balance::service::LastChoice;
use sidecar::balance::{
    CheckOutcome, FailedLease, LearnedServer, Lease, MAX_LAST_CHOICES, Method, OPEN_FOR, ServerGroup,
    ServerGroups, Tried,
};
use sidecar::fault::Fault;

use super::{CLIENT, address, config, prove};

/// A learned server whose first check has passed.
#[derive(Debug, Clone, Copy)]
struct Learned {
    last_choice: Option<LastChoice>,
    weight: u32,
    up: bool,
    ejected: bool,
}

const USABLE: Learned = Learned {
    last_choice: None,
    weight: 10,
    up: true,
    ejected: false,
};
const LAST: Learned = Learned {
    last_choice: Some(LastChoice::NodeDown),
    ..USABLE
};
const LEAVING: Learned = Learned {
    last_choice: Some(LastChoice::LeaveClaimed),
    ..USABLE
};

fn servers(servers: &[Learned]) -> impl Iterator<Item = LearnedServer> {
    servers.iter().enumerate().map(|(index, server)| LearnedServer {
        name: format!("s{index}"),
        address: address(index),
        weight: server.weight,
        last_choice: server.last_choice,
        at_node: true,
    })
}

fn follow(group: &ServerGroup, list: &[Learned]) {
    group.follow_mesh(servers(list), |_| false);
    prove(group);
}

fn group(method: Method, list: &[Learned]) -> Arc<ServerGroup> {
    let group = ServerGroup::new("group", config(), method);
    // Ejected while nothing else can be picked.
    for index in list.iter().enumerate().filter(|(_, s)| s.ejected).map(|(i, _)| i) {
        let only = servers(list).nth(index).map(|server| LearnedServer {
            last_choice: None,
            weight: 1,
            ..server
        });
        let others = servers(list)
            .enumerate()
            .filter(|(i, _)| *i != index)
            .map(|(_, s)| LearnedServer { weight: 0, ..s });
        group.follow_mesh(only.into_iter().chain(others), |_| false);
        prove(&group);
        pick(&group, &request(Instant::now()))
            .unwrap()
            .failed(Fault::Peer)
            .eject();
    }
    follow(&group, list);
    for server in group.checked() {
        let index: usize = server.name()[1..].parse().unwrap();
        for _ in 0..if list[index].up { 0 } else { config().down } {
            group.report(&server, CheckOutcome::Failed);
        }
    }
    group
}

fn request(began: Instant) -> Tried {
    Tried::new(began)
}

fn pick(group: &Arc<ServerGroup>, tried: &Tried) -> Option<Lease> {
    group.pick(CLIENT, tried)
}

fn fail(group: &Arc<ServerGroup>, tried: &mut Tried) -> Option<SocketAddr> {
    let lease = pick(group, tried)?;
    let address = lease.address();
    let failed: FailedLease = lease.failed(Fault::TimedOut);
    failed.eject();
    tried.add(&failed);
    Some(address)
}

fn is_ended(lease: &Lease) -> bool {
    let ended = pin!(lease.down());
    ended.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn learned() -> impl Strategy<Value = Learned> {
    let last_choice = prop::sample::select(vec![
        None,
        Some(LastChoice::NodeDown),
        Some(LastChoice::LeaveClaimed),
    ]);
    (last_choice, 0..3u32, any::<bool>(), any::<bool>()).prop_map(|(last_choice, weight, up, ejected)| {
        Learned {
            last_choice,
            weight,
            up,
            ejected,
        }
    })
}

fn method() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![Method::Wrr, Method::Wlc, Method::Source])
}

proptest! {
    /// A request that fails everywhere tries the best ones first, and at most two of nodes that are down.
    #[test]
    fn a_last_choice_is_tried_only_when_nothing_else_is_left(
        list in prop::collection::vec(learned(), 0..8), method in method(),
    ) {
        let group = group(method, &list);
        let mut tried = request(Instant::now());
        let mut order = Vec::new();
        while let Some(address) = fail(&group, &mut tried) {
            order.push((0..list.len()).find(|i| self::address(*i) == address).unwrap());
            prop_assert!(order.len() <= list.len());
        }
        let rank = |s: &Learned| match (s.last_choice, s.up, s.ejected) {
            _ if s.weight == 0 => None,
            (Some(LastChoice::NodeDown), up, ejected) => Some(u32::from(up && !ejected)),
            (_, false, _) => None,
            (_, true, true) => Some(2),
            (Some(LastChoice::LeaveClaimed), true, false) => Some(3),
            (None, true, false) => Some(4),
        };
        let mut expected: Vec<_> = list.iter().filter_map(rank).collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let last = expected.iter().filter(|rank| **rank < 2).count();
        expected.truncate(expected.len() - last.saturating_sub(MAX_LAST_CHOICES));
        let ranks: Vec<_> = order.iter().filter_map(|i| rank(&list[*i])).collect();
        prop_assert_eq!(ranks, expected, "{:?}", order);
    }

    /// No new request gets a last choice while another endpoint is usable.
    #[test]
    fn no_request_begins_with_a_last_choice_while_another_is_usable(
        list in prop::collection::vec(learned(), 1..8), method in method(), requests in 1..20usize,
    ) {
        let group = group(method, &list);
        let usable = list.iter().any(|s| s.last_choice.is_none() && s.up && !s.ejected && s.weight > 0);
        let mut open = Vec::new();
        for _ in 0..requests {
            let Some(lease) = pick(&group, &request(Instant::now())) else {
                continue;
            };
            let index = (0..list.len()).find(|i| address(*i) == lease.address()).unwrap();
            prop_assert!(!usable || list[index].last_choice.is_none());
            open.push(lease);
        }
    }
}

#[test]
fn a_last_choice_that_fails_comes_after_the_others() {
    let failing = Learned { up: false, ..LAST };
    let group = group(Method::Wrr, &[failing, LAST, failing]);
    let first = pick(&group, &request(Instant::now())).unwrap();
    assert_eq!(first.address(), address(1));
}

#[test]
fn open_connections_of_a_last_choice_end_when_another_endpoint_is_usable() {
    let group = group(Method::Wrr, &[USABLE, USABLE]);
    let [first, second] = [(), ()].map(|()| pick(&group, &request(Instant::now())).unwrap());
    follow(&group, &[LAST, USABLE]);
    assert!(is_ended(&first), "another endpoint is usable");
    follow(&group, &[LAST, LAST]);
    assert!(!is_ended(&second), "no endpoint is left");
    let third = pick(&group, &request(Instant::now())).unwrap();
    follow(&group, &[LAST, LAST, USABLE]);
    assert!(is_ended(&second) && is_ended(&third), "another has come");
}

#[test]
fn open_connections_of_a_last_choice_survive_failed_checks_and_its_removal() {
    let group = group(Method::Wrr, &[USABLE]);
    let open = pick(&group, &request(Instant::now())).unwrap();
    follow(&group, &[LAST]);
    for server in group.checked() {
        for _ in 0..config().down {
            group.report(&server, CheckOutcome::Failed);
        }
    }
    assert!(!is_ended(&open));
    assert!(
        pick(&group, &request(Instant::now())).is_some(),
        "it is tried anyway"
    );
    follow(&group, &[USABLE]);
    assert!(!is_ended(&open));
    follow(&group, &[]);
    assert!(!is_ended(&open));
}

#[test]
fn after_the_last_choices_failed_requests_of_the_next_second_do_not_try_them() {
    let group = group(Method::Wrr, &[LAST, LAST, LAST]);
    let start = Instant::now();
    let earlier = request(start);
    let mut tried = request(start);
    assert_eq!(
        std::iter::from_fn(|| fail(&group, &mut tried)).count(),
        MAX_LAST_CHOICES
    );
    let failed = start + Duration::from_millis(700);
    tried.give_up(failed);
    let may_try = |began| pick(&group, &request(began)).is_some();
    assert!(
        pick(&group, &earlier).is_some(),
        "a request that began before goes on"
    );
    assert!(!may_try(failed));
    assert!(!may_try(failed + OPEN_FOR - Duration::from_millis(1)));
    assert!(may_try(failed + OPEN_FOR));
    follow(&group, &[LAST, LAST, LAST, USABLE]);
    assert!(may_try(failed), "one that is up is not affected");
}

#[test]
fn a_fault_of_ours_says_nothing_about_last_choices() {
    let group = group(Method::Wrr, &[LAST]);
    let now = Instant::now();
    let mut tried = request(now);
    let lease = pick(&group, &tried).unwrap();
    tried.add(&lease.failed(Fault::Own(sidecar::fault::Shortage::Permission)));
    tried.give_up(now);
    assert!(pick(&group, &request(now)).is_some());
}

#[test]
fn a_last_choice_is_reached_by_its_address_only_while_nothing_else_is_usable() {
    let group = group(Method::Wrr, &[LAST]);
    let set = ServerGroups::new("set");
    set.attach(Arc::clone(&group), 10).unwrap();
    assert!(set.server_at(address(0)).is_some());
    follow(&group, &[LAST, USABLE]);
    assert!(set.server_at(address(0)).is_none());
}

#[test]
fn a_group_of_last_choices_comes_after_those_with_endpoints_that_are_up() {
    let set = ServerGroups::new("set");
    set.attach(group(Method::Wrr, &[LAST]), 10).unwrap();
    let other = ServerGroup::new("other", config(), Method::Wrr);
    other.set_learned(vec![("o".to_owned(), address(7), 10)]);
    set.attach(other, 10).unwrap();
    for _ in 0..10 {
        let lease = set.pick(CLIENT, &request(Instant::now())).unwrap();
        assert_eq!(lease.address(), address(7));
    }
}

#[test]
fn open_connections_to_an_instance_that_is_said_to_leave_live_on() {
    let group = group(Method::Wrr, &[USABLE, USABLE]);
    let [first, second] = [(), ()].map(|()| pick(&group, &request(Instant::now())).unwrap());
    follow(&group, &[LEAVING, USABLE]);
    assert!(!is_ended(&first) && !is_ended(&second), "a claim ends nothing");
    follow(&group, &[LAST, USABLE]);
    assert!(is_ended(&first), "its node is down");
    assert!(!is_ended(&second));
}

#[test]
fn an_instance_that_is_said_to_leave_is_reached_by_its_address() {
    let group = group(Method::Wrr, &[LEAVING, USABLE]);
    let set = ServerGroups::new("set");
    set.attach(Arc::clone(&group), 10).unwrap();
    assert!(set.server_at(address(0)).is_some());
}

#[test]
fn claims_about_all_instances_keep_no_request_from_trying_each() {
    let group = group(Method::Wrr, &[LEAVING, LEAVING, LEAVING]);
    let now = Instant::now();
    let mut tried = request(now);
    assert_eq!(std::iter::from_fn(|| fail(&group, &mut tried)).count(), 3);
    tried.give_up(now);
    assert!(
        pick(&group, &request(now)).is_some(),
        "the circuit breaker is for nodes that are down"
    );
}
