//! The life cycle of a listener: its limit, closing, draining.

use std::time::Duration;

use sidecar::proxy::Limits;
use sidecar::proxy::connect::{OnFailure, connect};
use sidecar::proxy::listener::bind;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::support::{
    DEADLINE, ask, backends, eventually, expect_reset, instance, lb, loopback, open, read_line, within,
};

#[test]
fn an_error_names_the_address_in_use() {
    let taken = bind(loopback()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_closed_listener_frees_its_address_and_keeps_its_connections() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups.clone(), Limits::default());
    let address = lb.listener().local_addr();
    let (mut stream, _) = open(&lb).await;
    within("close", lb.listener().close()).await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let again = bind(address).expect("the address is free at once");
    drop(again);
    drop(lb);
    stream.write_all(b"alive\n").await.unwrap();
    assert_eq!(read_line(&mut stream).await, "alive");
}

#[tokio::test]
async fn connections_in_the_backlog_are_served_although_the_listener_closes() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    let address = lb.listener().local_addr();
    // On one thread, nothing is accepted until this task yields.
    let waiting: Vec<TcpStream> = (0..5)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.connect(&address.into()).unwrap();
            socket.set_nonblocking(true).unwrap();
            TcpStream::from_std(socket.into()).unwrap()
        })
        .collect();
    within("close", lb.listener().close()).await;
    for mut stream in waiting {
        assert_eq!(read_line(&mut stream).await, "a");
    }
}

#[tokio::test]
async fn a_dropped_listener_stops_accepting() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    let address = lb.listener().local_addr();
    drop(lb);
    let stopped = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    within("refusal", stopped).await;
}

#[tokio::test]
async fn draining_waits_for_connections_that_end() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    let (mut stream, _) = open(&lb).await;
    let (aborted, ()) = tokio::join!(lb.listener().drain(DEADLINE), async {
        stream.write_all(b"last words\n").await.unwrap();
        assert_eq!(read_line(&mut stream).await, "last words");
        drop(stream);
    });
    assert_eq!(aborted, 0);
}

#[tokio::test]
async fn draining_aborts_connections_at_the_timeout() {
    let (groups, group) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(open(&lb).await.0);
    }
    let aborted = within("drain", lb.listener().drain(Duration::from_millis(50))).await;
    assert_eq!(aborted, 3);
    for mut stream in streams {
        expect_reset(&mut stream).await;
    }
    assert_eq!(lb.listener().active(), 0);
    assert_eq!(group.counters().active(), 0);
}

#[tokio::test]
async fn connections_above_the_limit_wait_in_the_backlog() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let lb = lb(groups, limits);
    let (first, _) = open(&lb).await;
    let (_second, _) = open(&lb).await;
    let mut third = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let early = timeout(Duration::from_millis(200), third.read_u8()).await;
    assert!(early.is_err(), "a third connection is served: {early:?}");
    assert_eq!(lb.listener().active(), 2);
    drop(first);
    assert_eq!(read_line(&mut third).await, "a");
    // A listener that waits for a permit still stops.
    within("close", lb.listener().close()).await;
}

#[tokio::test]
async fn no_delay_is_set_on_both_sides() {
    let instance = tokio::net::TcpListener::bind(loopback()).await.unwrap();
    let (groups, _) = backends("g", &[(instance.local_addr().unwrap(), 10)]);
    let listener = bind(loopback()).unwrap();
    socket2::SockRef::from(&listener).set_tcp_nodelay(true).unwrap();
    let address = listener.local_addr().unwrap();
    let _client = TcpStream::connect(address).await.unwrap();
    // Accepted connections inherit the option from the listener, which saves a system call for each.
    let (accepted, _) = listener.accept().unwrap();
    assert!(socket2::SockRef::from(&accepted).tcp_nodelay().unwrap());
    let connected = connect(
        |tried| groups.pick([127, 0, 0, 1].into(), tried),
        &[],
        OnFailure::TryNext,
    )
    .await;
    assert!(connected.unwrap().stream.nodelay().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_concurrent_connections_are_all_served() {
    let (groups, _) = backends("g", &[(instance("a").await, 10), (instance("b").await, 10)]);
    let lb = std::sync::Arc::new(lb(groups, Limits::default()));
    let started = Instant::now();
    let asking: Vec<_> = (0..200)
        .map(|_| {
            let lb = std::sync::Arc::clone(&lb);
            tokio::spawn(async move { ask(&lb).await })
        })
        .collect();
    let mut of_a = 0;
    for asked in asking {
        of_a += usize::from(within("answer", asked).await.unwrap() == "a");
    }
    assert_eq!(of_a, 100, "shares are exact among concurrent connections, too");
    eventually(|| (lb.listener().active() > 0).then(|| format!("active after {:?}", started.elapsed())))
        .await;
}
