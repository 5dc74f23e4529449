//! Security groups: which clients a listener refuses, and how refusals are counted.

use std::io::ErrorKind;
use std::sync::Arc;

use sidecar::proxy::access::{Policy, Protocol, Rule, SecurityGroup, Verdict};
use sidecar::proxy::socks5::Socks5Server;
use sidecar::proxy::tcp_lb::TcpLb;
use sidecar::proxy::workers::Workers;
use sidecar::proxy::{Limits, Refusal};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::{ask, backends, bind, expect_reset, instance, lb, open, read_line};

fn only(default: Verdict) -> Policy {
    let rules = Vec::new();
    Policy { default, rules }
}

async fn expect_denied(lb: &TcpLb) {
    match TcpStream::connect(lb.listener().local_addr()).await {
        Ok(mut stream) => expect_reset(&mut stream).await,
        // The reset may arrive before connect returns.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[tokio::test]
async fn a_new_security_group_applies_from_the_next_connection_on() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    assert!(lb.listener().security_group().is_none());
    let (mut established, _) = open(&lb).await;

    let group = SecurityGroup::new(only(Verdict::Deny));
    lb.listener().set_security_group(Some(Arc::clone(&group)));
    assert!(Arc::ptr_eq(&lb.listener().security_group().unwrap(), &group));
    expect_denied(&lb).await;
    established.write_all(b"still\n").await.unwrap();
    assert_eq!(read_line(&mut established).await, "still");

    // Changed in place, and only for ports other than ours.
    let rule = |port| Rule {
        network: "127.0.0.0/8".parse().unwrap(),
        protocol: Protocol::Tcp,
        ports: (port, port),
        verdict: Verdict::Allow,
    };
    let port = lb.listener().local_addr().port();
    let allowing = |port| Policy {
        default: Verdict::Deny,
        rules: vec![rule(port)],
    };
    group.set(allowing(port));
    assert_eq!(ask(&lb).await, "a");
    group.set(allowing(if port == 1 { 2 } else { port - 1 }));
    expect_denied(&lb).await;

    lb.listener().set_security_group(None);
    assert_eq!(ask(&lb).await, "a");
}

#[tokio::test]
async fn a_denied_client_is_counted_and_takes_no_permit() {
    let (groups, group) = backends("g", &[(instance("a").await, 10)]);
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let denying = SecurityGroup::new(only(Verdict::Deny));
    let lb = TcpLb::start(bind(), groups, Some(denying), limits, &Workers::default()).unwrap();
    for _ in 0..5 {
        expect_denied(&lb).await;
    }
    let totals = lb.listener().totals();
    assert_eq!((totals.connections, totals.active), (5, 0));
    for (refusal, count) in lb.listener().refusals().iter() {
        let expected = if refusal == Refusal::Denied { 5 } else { 0 };
        assert_eq!(count, expected, "{}", refusal.label());
    }
    assert_eq!(group.counters().totals().connections, 0);
    lb.listener().set_security_group(None);
    assert_eq!(ask(&lb).await, "a");
}

#[tokio::test]
async fn a_socks5_server_resets_a_denied_client_before_the_handshake() {
    let (groups, _) = backends("g", &[]);
    let denying = SecurityGroup::new(only(Verdict::Deny));
    let server = Socks5Server::start(
        bind(),
        groups,
        false,
        Some(denying),
        Limits::default(),
        &Workers::default(),
    )
    .unwrap();
    let mut stream = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    expect_reset(&mut stream).await;
    assert_eq!(server.listener().refusals().of(Refusal::Denied), 1);
    server.listener().set_security_group(None);
    super::socks5::greet(&server).await;
}
