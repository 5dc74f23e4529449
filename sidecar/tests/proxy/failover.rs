//! Failover: an instance that refuses or does not answer is skipped without the client noticing.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use sidecar::balance::{Method, ServerGroup, Tried};
use sidecar::fault::Fault;
use sidecar::proxy::Limits;
use sidecar::proxy::connect::{Attempt, OnFailure, Reason, connect};
use tokio::time::Instant;

use super::support::{ask, backends, config, expect_reset, instance, lb, refusing, silent};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_refusing_instance_is_skipped() {
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
async fn a_silent_instance_is_skipped_after_the_groups_timeout() {
    let (_held, silent) = silent().await;
    let (groups, _) = backends("g", &[(silent, 10), (instance("b").await, 10)]);
    let lb = lb(groups, Limits::default());
    assert_eq!(ask(&lb).await, "b");
    // It is ejected now: the next connections do not try it, which would take 20 s.
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
async fn the_error_lists_the_attempts_and_their_failures() {
    let (_held, refusing) = refusing();
    let (_also_held, silent) = silent().await;
    let (groups, group) = backends("g", &[(refusing, 10), (silent, 10)]);
    let error = connect(|tried| groups.pick(CLIENT, tried), &[], OnFailure::TryNext)
        .await
        .unwrap_err();
    let attempt = |server: &str, address, fault| Attempt {
        server: server.to_owned(),
        address,
        fault,
    };
    assert_eq!(error.reason, Reason::TimedOut);
    assert_eq!(
        error.attempts,
        [
            attempt("s0", refusing, Fault::Peer),
            attempt("s1", silent, Fault::TimedOut)
        ]
    );
    assert_eq!(
        error.to_string(),
        format!("timed out: s0 at {refusing} refused, s1 at {silent} timed out")
    );
    assert_eq!(group.counters().totals(), Default::default());
}

#[tokio::test]
async fn all_attempts_share_one_time_budget() {
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
async fn the_client_is_reset_if_all_instances_refuse() {
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
