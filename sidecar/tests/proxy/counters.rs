//! Counters are exact after known traffic.

use std::time::{Duration, Instant};

use sidecar::balance::{Connects, ServerGroup};
use sidecar::fault::Fault;
use sidecar::proxy::listener::Listener;
use sidecar::proxy::socks5::Socks5Server;
use sidecar::proxy::workers::Workers;
use sidecar::proxy::{Limits, Refusal};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::socks5::{NAME, domain, greet, reply, request, server};
use super::support::{ask, backends, bind, eventually, expect_reset, instance, lb, refusing, silent, within};

async fn at_rest(listener: &Listener) {
    eventually(|| (listener.active() != 0).then(|| format!("{} active", listener.active()))).await;
}

/// Asserts exactly these refusals, and that accepted connections are the refused and the served ones.
fn expect_refusals(listener: &Listener, expected: &[(Refusal, u64)], served: u64) {
    let refusals = listener.refusals();
    let seen: Vec<_> = refusals.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(seen, expected);
    let refused: u64 = refusals.iter().map(|(_, count)| count).sum();
    assert_eq!(listener.totals().connections, refused + served);
}

fn expect_failed(connects: Connects, expected: &[(Fault, u64)], failovers: u64) {
    let seen: Vec<_> = connects.failed.iter().filter(|(_, count)| *count > 0).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(fault, count)| (Fault::LABELS[fault.index()], *count))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(connects.failovers, failovers);
}

/// Asserts that the histogram contains every connection established since `began`.
fn expect_times(group: &ServerGroup, began: Instant) {
    let times = group.connect_times();
    let established = group.counters().totals().connections;
    assert_eq!(times.count(), established);
    let cumulative: Vec<_> = times.cumulative().collect();
    assert!(cumulative.windows(2).all(|w| w[0].1 <= w[1].1), "{cumulative:?}");
    assert_eq!(*cumulative.last().unwrap(), (None, established));
    // One after another.
    assert!(times.sum() > Duration::ZERO && times.sum() < began.elapsed());
}

#[tokio::test]
async fn failures_and_failovers_are_counted_for_the_server_that_failed() {
    let began = Instant::now();
    let (_held, refusing) = refusing();
    let (_also_held, silent) = silent().await;
    let (groups, group) = backends("g", &[(refusing, 10), (silent, 10), (instance("c").await, 10)]);
    let lb = lb(groups, Limits::default());
    // The first connection tries all three; then two of them are ejected.
    for _ in 0..5 {
        assert_eq!(ask(&lb).await, "c");
    }
    let servers = group.servers();
    expect_failed(servers[0].connects, &[(Fault::Peer, 1)], 1);
    expect_failed(servers[1].connects, &[(Fault::TimedOut, 1)], 1);
    expect_failed(servers[2].connects, &[], 0);
    expect_failed(group.connects(), &[(Fault::Peer, 1), (Fault::TimedOut, 1)], 2);
    let established: Vec<_> = servers.iter().map(|s| s.totals.connections).collect();
    assert_eq!(established, [0, 0, 5]);
    expect_times(&group, began);
    at_rest(lb.listener()).await;
    expect_refusals(lb.listener(), &[], 5);
}

#[tokio::test]
async fn the_last_failure_counts_no_failover() {
    let (_held, one) = refusing();
    let (_also_held, two) = refusing();
    let (groups, group) = backends("g", &[(one, 10), (two, 10)]);
    let lb = lb(groups, Limits::default());
    let mut stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    expect_reset(&mut stream).await;
    expect_failed(group.connects(), &[(Fault::Peer, 2)], 1);
    assert_eq!(group.connect_times().count(), 0);
    at_rest(lb.listener()).await;
    expect_refusals(lb.listener(), &[(Refusal::Refused, 1)], 0);
}

#[tokio::test]
async fn a_load_balancer_counts_refusals_by_reason() {
    let (_held, silent) = silent().await;
    let (groups, group) = backends("g", &[(silent, 10)]);
    let lb = lb(groups, Limits::default());
    let attempt = || async {
        let mut stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
        expect_reset(&mut stream).await;
    };
    attempt().await;
    group.set_learned(Vec::new());
    attempt().await;
    attempt().await;
    at_rest(lb.listener()).await;
    let expected = [(Refusal::NoInstance, 2), (Refusal::TimedOut, 1)];
    expect_refusals(lb.listener(), &expected, 0);
}

#[tokio::test]
async fn a_socks5_server_says_why_it_refused() {
    let began = Instant::now();
    let (_held, refusing) = refusing();
    let (groups, group) = backends(NAME, &[(instance("a").await, 10)]);
    let (_, broken) = backends("b.my.service.com:80", &[(refusing, 10)]);
    let (_, empty) = backends("c.my.service.com:80", &[]);
    groups.attach(broken, 10).unwrap();
    groups.attach(empty, 10).unwrap();
    let server = server(groups, false);
    for (host, code) in [("a", 0), ("b", 5), ("c", 4), ("d", 2), ("d", 2)] {
        let mut stream = greet(&server).await;
        let name = format!("{host}.my.service.com");
        stream.write_all(&request(domain(&name, 80))).await.unwrap();
        assert_eq!(reply(&mut stream).await.0, code, "{name}");
    }
    server.set_allow_non_backend(true);
    // RFC 6761, 6.4: names under `invalid` never resolve.
    let mut stream = greet(&server).await;
    stream
        .write_all(&request(domain("no.such.host.invalid", 80)))
        .await
        .unwrap();
    assert_eq!(reply(&mut stream).await.0, 4);
    // One client disconnects, one speaks another protocol.
    drop(greet(&server).await);
    let mut foreign = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    foreign.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    at_rest(server.listener()).await;
    let expected = [
        (Refusal::Handshake, 2),
        (Refusal::NotAllowed, 2),
        (Refusal::NoInstance, 1),
        (Refusal::Unresolved, 1),
        (Refusal::Refused, 1),
    ];
    expect_refusals(server.listener(), &expected, 1);
    expect_times(&group, began);
}

#[tokio::test]
async fn a_handshake_timeout_is_counted_apart_from_a_protocol_error() {
    let (groups, _) = backends(NAME, &[]);
    let limits = Limits {
        handshake: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Socks5Server::start(bind(), groups, false, None, limits, &Workers::default()).unwrap();
    let _silent = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    eventually(|| {
        let refusals = server.listener().refusals();
        (refusals.of(Refusal::HandshakeTimeout) != 1).then(|| format!("{refusals:?}"))
    })
    .await;
    at_rest(server.listener()).await;
    expect_refusals(server.listener(), &[(Refusal::HandshakeTimeout, 1)], 0);
}

#[tokio::test]
async fn an_unconnected_client_that_is_aborted_counts_as_refused() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    let _greeted = greet(&server).await;
    let mut flowing = greet(&server).await;
    flowing
        .write_all(&request(domain("a.my.service.com", 80)))
        .await
        .unwrap();
    assert_eq!(reply(&mut flowing).await.0, 0);
    let cut = within("drain", server.listener().drain(Duration::from_millis(20))).await;
    assert_eq!(cut, 2);
    expect_refusals(server.listener(), &[(Refusal::Aborted, 1)], 1);
}
