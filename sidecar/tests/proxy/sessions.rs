//! Listing and aborting a listener's connections.

use std::time::Duration;

use sidecar::proxy::workers::Workers;
use sidecar::proxy::{Limits, Refusal, SessionView};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::socks5::{NAME, domain, greet, reply, request, server};
use super::support::{
    ask, backends, eventually, expect_reset, instance, lb, loopback, open, read_line, silent, within,
};

#[tokio::test]
async fn a_connection_is_listed_with_addresses_destination_and_bytes() {
    let upstream = TcpListener::bind(loopback()).await.unwrap();
    let address = upstream.local_addr().unwrap();
    let (groups, _) = backends("g", &[(address, 10)]);
    let lb = lb(groups, Limits::default());
    assert_eq!(lb.listener().sessions(), []);
    let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let (mut instance, from) = within("connection", upstream.accept()).await.unwrap();
    client.write_all(b"12345").await.unwrap();
    instance.write_all(b"123").await.unwrap();
    let mut received = [0; 5];
    within("bytes", instance.read_exact(&mut received)).await.unwrap();
    within("bytes", client.read_exact(&mut received[..3]))
        .await
        .unwrap();
    let expected = |age| SessionView {
        client: client.local_addr().unwrap(),
        local: lb.listener().local_addr(),
        instance_local: Some(from),
        instance: Some(address),
        destination: "backends".to_owned(),
        group: Some("g".to_owned()),
        server: Some("s0".to_owned()),
        to_instance: 5,
        to_client: 3,
        age,
    };
    eventually(|| {
        let sessions = lb.listener().sessions();
        let age = sessions.first().map_or(Duration::ZERO, |s| s.age);
        (sessions != [expected(age)]).then(|| format!("{sessions:?}"))
    })
    .await;
    drop((client, instance));
    eventually(|| (!lb.listener().sessions().is_empty()).then(|| "still there".to_owned())).await;
}

#[tokio::test]
async fn a_listener_on_any_address_lists_the_actual_local_address() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let listener = sidecar::proxy::listener::bind("[::]:0".parse().unwrap()).unwrap();
    let lb =
        sidecar::proxy::tcp_lb::TcpLb::start(listener, groups, None, Limits::default(), &Workers::default())
            .unwrap();
    let port = lb.listener().local_addr().port();
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert_eq!(read_line(&mut client).await, "a");
    let session = lb.listener().sessions().remove(0);
    assert_eq!(session.client, client.local_addr().unwrap());
    assert_eq!(session.local, ([127, 0, 0, 1], port).into());
}

#[tokio::test]
async fn a_socks5_connection_shows_what_is_known_so_far() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    let mut stream = greet(&server).await;
    let session = server.listener().sessions().remove(0);
    assert_eq!((session.destination.as_str(), session.instance), ("", None));
    stream
        .write_all(&request(domain("a.my.service.com", 80)))
        .await
        .unwrap();
    assert_eq!(reply(&mut stream).await.0, 0);
    assert_eq!(read_line(&mut stream).await, "a");
    let session = server.listener().sessions().remove(0);
    assert_eq!(session.destination, NAME);
    assert_eq!(
        (session.group.as_deref(), session.server.as_deref()),
        (Some(NAME), Some("s0"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matching_connections_are_aborted_and_others_live_on() {
    let (groups, group) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(open(&lb).await.0);
    }
    let clients: Vec<_> = lb.listener().sessions().iter().map(|s| s.client).collect();
    let accepted: Vec<_> = streams.iter().map(|s| s.local_addr().unwrap()).collect();
    assert_eq!(clients, accepted, "not in the order they were accepted");
    let meant = accepted[17];
    assert_eq!(lb.listener().abort_sessions(|s| s.client == meant), 1);
    expect_reset(&mut streams.remove(17)).await;
    eventually(|| (lb.listener().active() != 39).then(|| "still active".to_owned())).await;
    assert_eq!(lb.listener().abort_sessions(|s| s.client == meant), 0);
    for stream in &mut streams {
        stream.write_all(b"alive\n").await.unwrap();
        assert_eq!(read_line(stream).await, "alive");
    }
    assert_eq!(lb.listener().abort_sessions(|_| true), 39);
    for stream in &mut streams {
        expect_reset(stream).await;
    }
    eventually(|| (group.counters().active() != 0).then(|| "still active".to_owned())).await;
    assert_eq!(lb.listener().sessions(), []);
    assert_eq!(ask(&lb).await, "a", "the listener stopped");
}

#[tokio::test]
async fn an_abort_also_resets_the_instances_side() {
    let upstream = TcpListener::bind(loopback()).await.unwrap();
    let (groups, _) = backends("g", &[(upstream.local_addr().unwrap(), 10)]);
    let lb = lb(groups, Limits::default());
    let _client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let (mut instance, _) = within("connection", upstream.accept()).await.unwrap();
    eventually(|| {
        let sessions = lb.listener().sessions();
        sessions
            .iter()
            .all(|s| s.instance.is_none())
            .then(|| format!("not connected: {sessions:?}"))
    })
    .await;
    assert_eq!(lb.listener().abort_sessions(|_| true), 1);
    expect_reset(&mut instance).await;
}

#[tokio::test]
async fn a_connection_being_established_is_aborted_too() {
    let (_held, silent) = silent().await;
    let (groups, group) = backends("g", &[(silent, 10)]);
    let patient = sidecar::balance::CheckConfig {
        timeout: Duration::from_secs(60),
        ..group.check_config()
    };
    group.set_check_config(patient);
    let lb = lb(groups.clone(), Limits::default());
    let mut stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    eventually(|| {
        lb.listener()
            .sessions()
            .is_empty()
            .then(|| "no connection".to_owned())
    })
    .await;
    assert_eq!(lb.listener().sessions()[0].instance, None);
    assert_eq!(lb.listener().abort_sessions(|s| s.instance.is_none()), 1);
    expect_reset(&mut stream).await;

    let server = server(groups, false);
    let mut greeted = greet(&server).await;
    assert_eq!(server.listener().abort_sessions(|_| true), 1);
    expect_reset(&mut greeted).await;
    for listener in [lb.listener(), server.listener()] {
        eventually(|| (listener.active() != 0).then(|| "still active".to_owned())).await;
        assert_eq!(listener.refusals().of(Refusal::Aborted), 1);
    }
}
