//! An instance that does not answer is passed over before the client notices.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use sidecar::balance::{Method, ServerGroup, Tried};
use sidecar::proxy::Limits;
use sidecar::proxy::connect::{Attempt, Failure, OnFailure, Reason, connect};
use tokio::time::Instant;

use super::support::{ask, backends, config, expect_reset, instance, lb, refusing, silent};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_refusing_instance_is_passed_over() {
    let (_held, refusing) = refusing();
    let (groups, group) = backends("g", &[(refusing, 10), (instance("b").await, 10)]);
    let lb = lb(groups, Limits::default());
    for _ in 0..10 {
        assert_eq!(ask(&lb).await, "b");
    }
    assert_eq!(group.servers()[0].totals.connections, 0);
    assert_eq!(group.servers()[1].totals.connections, 10);
}

#[tokio::test]
async fn a_silent_instance_is_passed_over_within_the_groups_timeout() {
    let (_held, silent) = silent().await;
    let (groups, _) = backends("g", &[(silent, 10), (instance("b").await, 10)]);
    let lb = lb(groups, Limits::default());
    assert_eq!(ask(&lb).await, "b");
    // It is a suspect now: the next ones do not wait for it. (A try each would take 20 s.)
    let started = Instant::now();
    for _ in 0..100 {
        assert_eq!(ask(&lb).await, "b");
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn the_error_says_what_was_tried_and_why() {
    let (_held, refusing) = refusing();
    let (_also_held, silent) = silent().await;
    let (groups, group) = backends("g", &[(refusing, 10), (silent, 10)]);
    let error = connect(|tried| groups.pick(CLIENT, tried), &[], OnFailure::TryNext)
        .await
        .unwrap_err();
    let attempt = |server: &str, address, failure| Attempt {
        server: server.to_owned(),
        address,
        failure,
    };
    assert_eq!(error.reason, Reason::TimedOut);
    assert_eq!(
        error.attempts,
        [
            attempt("s0", refusing, Failure::Refused),
            attempt("s1", silent, Failure::TimedOut)
        ]
    );
    assert_eq!(
        error.to_string(),
        format!("timed out: s0 at {refusing} refused, s1 at {silent} timed out")
    );
    assert_eq!(group.counters().totals(), Default::default());
}

#[tokio::test]
async fn all_attempts_together_are_bounded() {
    let (_held, silent) = silent().await;
    let slow = sidecar::balance::CheckConfig {
        timeout: Duration::from_secs(60),
        ..config()
    };
    let group = ServerGroup::new("g", slow, Method::Wrr);
    group.set_learned(vec![("s0".to_owned(), silent, 10)]);
    let started = Instant::now();
    let error = connect(|tried: &Tried| group.pick(CLIENT, tried), &[], OnFailure::TryNext)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::TimedOut);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn where_all_refuse_the_client_is_reset() {
    let (_held, one) = refusing();
    let (_also_held, two) = refusing();
    let (groups, group) = backends("g", &[(one, 10), (two, 10)]);
    let lb = lb(groups, Limits::default());
    let mut stream = tokio::net::TcpStream::connect(lb.listener().local_addr())
        .await
        .unwrap();
    expect_reset(&mut stream).await;
    let error = connect(|tried: &Tried| group.pick(CLIENT, tried), &[], OnFailure::TryNext)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::Refused);
    assert_eq!(error.attempts.len(), 2);
}
