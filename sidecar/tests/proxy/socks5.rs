//! SOCKS5 clients that are connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sidecar::balance::ServerGroups;
use sidecar::proxy::Limits;
use sidecar::proxy::socks5::Socks5Server;
use sidecar::proxy::socks5::wire::{CONNECT, Destination, Request};
use sidecar::proxy::workers::Workers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_socks::tcp::Socks5Stream;

use super::support::{
    backends, bind, eventually, expect_reset, instance, instance_on, loopback, read_line, refusing, within,
};

pub(crate) const NAME: &str = "a.my.service.com:80";

pub(crate) fn server(groups: Arc<ServerGroups>, allow_non_backend: bool) -> Socks5Server {
    Socks5Server::start(
        bind(),
        groups,
        allow_non_backend,
        None,
        Limits::default(),
        &Workers::default(),
    )
    .unwrap()
}

pub(crate) fn domain(name: &str, port: u16) -> Destination {
    Destination::Domain(name.to_owned(), port)
}

pub(crate) fn request(destination: Destination) -> Vec<u8> {
    let command = CONNECT;
    Request { command, destination }.encode()
}

/// Performs the method negotiation of a client that offers no authentication.
pub(crate) async fn greet(server: &Socks5Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    stream.write_all(&[5, 2, 2, 0]).await.unwrap();
    let mut method = [0; 2];
    within("method", stream.read_exact(&mut method)).await.unwrap();
    assert_eq!(method, [5, 0]);
    stream
}

/// Reads a reply: its code and the bound address.
pub(crate) async fn reply(stream: &mut TcpStream) -> (u8, SocketAddr) {
    let mut head = [0; 4];
    within("reply", stream.read_exact(&mut head)).await.unwrap();
    let [version, code, reserved, kind] = head;
    assert_eq!((version, reserved), (5, 0));
    let bound = match kind {
        1 => {
            let mut rest = [0; 6];
            within("address", stream.read_exact(&mut rest)).await.unwrap();
            let [a, b, c, d, high, low] = rest;
            SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))
        }
        4 => {
            let mut rest = [0; 18];
            within("address", stream.read_exact(&mut rest)).await.unwrap();
            let ip: [u8; 16] = rest[..16].try_into().unwrap();
            SocketAddr::from((ip, u16::from_be_bytes([rest[16], rest[17]])))
        }
        other => panic!("address type {other}"),
    };
    (code, bound)
}

async fn through(server: &Socks5Server, host: &str, port: u16) -> tokio_socks::Result<String> {
    let proxy = server.listener().local_addr();
    let connect = Socks5Stream::connect(proxy, (host, port));
    let mut stream = within("connection", connect).await?.into_inner();
    Ok(read_line(&mut stream).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_groups_name_leads_to_its_instances_in_turn() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10), (instance("b").await, 10)]);
    let (_, other) = backends("b.my.service.com:80", &[(instance("c").await, 10)]);
    groups.attach(other, 10).unwrap();
    let server = server(groups, false);
    for _ in 0..10 {
        assert_eq!(through(&server, "a.my.service.com", 80).await.unwrap(), "a");
        assert_eq!(through(&server, "A.My.Service.Com.", 80).await.unwrap(), "b");
    }
    assert_eq!(through(&server, "b.my.service.com", 80).await.unwrap(), "c");
}

#[tokio::test]
async fn a_backend_is_reached_by_its_address_in_either_family_and_as_text() {
    let v4 = instance("four").await;
    let v6 = instance_on(TcpListener::bind("[::1]:0").await.unwrap(), "six");
    let (groups, _) = backends(NAME, &[(v4, 10), (v6, 10)]);
    let server = server(groups, false);
    let mapped = "::ffff:127.0.0.1".parse().unwrap();
    for (destination, name) in [
        (Destination::Address(v4), "four"),
        (Destination::Address(v6), "six"),
        (domain("127.0.0.1", v4.port()), "four"),
        (domain("::1", v6.port()), "six"),
        (domain("::ffff:127.0.0.1", v4.port()), "four"),
        (domain("[::ffff:127.0.0.1]", v4.port()), "four"),
        (Destination::Address(SocketAddr::new(mapped, v4.port())), "four"),
        (domain("[::1]", v6.port()), "six"),
        (domain("[0:0:0:0:0:0:0:1]", v6.port()), "six"),
    ] {
        let mut stream = greet(&server).await;
        stream.write_all(&request(destination.clone())).await.unwrap();
        let (code, bound) = reply(&mut stream).await;
        assert_eq!(code, 0, "{destination}");
        assert!(bound.ip().is_loopback() && bound.port() != 0, "{bound}");
        assert_eq!(read_line(&mut stream).await, name);
    }
}

#[tokio::test]
async fn bytes_sent_after_the_request_are_not_lost() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    let mut stream = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    let payload = vec![b'x'; 3_000];
    let mut everything = vec![5, 1, 0];
    everything.extend(request(domain("a.my.service.com", 80)));
    everything.extend(&payload);
    stream.write_all(&everything).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(within("method", stream.read_u16()).await.unwrap(), 0x0500);
    assert_eq!(reply(&mut stream).await.0, 0);
    assert_eq!(read_line(&mut stream).await, "a");
    let mut echoed = Vec::new();
    within("echo", stream.read_to_end(&mut echoed)).await.unwrap();
    assert_eq!(echoed, payload);
    // The handshake is not counted as payload.
    eventually(|| (server.listener().active() > 0).then(|| "still active".to_owned())).await;
    let totals = server.listener().totals();
    assert_eq!((totals.to_instance, totals.to_client), (3_000, 3_002));
}

#[tokio::test]
async fn a_handshake_byte_by_byte_is_understood() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    let mut stream = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut bytes = vec![5, 1, 0];
    bytes.extend(request(domain("a.my.service.com", 80)));
    for byte in bytes {
        stream.write_all(&[byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(within("method", stream.read_u16()).await.unwrap(), 0x0500);
    assert_eq!(reply(&mut stream).await.0, 0);
    assert_eq!(read_line(&mut stream).await, "a");
}

#[tokio::test]
async fn an_instance_that_refuses_is_skipped() {
    let (_held, refusing) = refusing();
    let (groups, _) = backends(NAME, &[(refusing, 10), (instance("b").await, 10)]);
    let server = server(groups, false);
    for _ in 0..5 {
        assert_eq!(through(&server, "a.my.service.com", 80).await.unwrap(), "b");
    }
}

#[tokio::test]
async fn silent_clients_do_not_delay_others() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(server.listener().local_addr()).await.unwrap());
        silent.push(greet(&server).await);
    }
    assert_eq!(through(&server, "a.my.service.com", 80).await.unwrap(), "a");
    assert_eq!(server.listener().totals().connections, 101);
}

#[tokio::test]
async fn other_destinations_need_allow_non_backend_which_can_be_changed() {
    let elsewhere = instance("elsewhere").await;
    let (groups, _) = backends(NAME, &[]);
    let server = server(groups, false);
    assert!(matches!(
        through(&server, "127.0.0.1", elsewhere.port()).await,
        Err(tokio_socks::Error::ConnectionNotAllowedByRuleset)
    ));
    server.set_allow_non_backend(true);
    assert!(server.allow_non_backend());
    assert_eq!(
        through(&server, "127.0.0.1", elsewhere.port()).await.unwrap(),
        "elsewhere"
    );
    assert_eq!(
        through(&server, "localhost", elsewhere.port()).await.unwrap(),
        "elsewhere"
    );
    server.set_allow_non_backend(false);
    assert!(through(&server, "localhost", elsewhere.port()).await.is_err());
}

#[tokio::test]
async fn backends_change_live() {
    let (first, _) = backends(NAME, &[(instance("a").await, 10)]);
    let (second, _) = backends(NAME, &[(instance("b").await, 10)]);
    let server = server(first, false);
    assert_eq!(through(&server, "a.my.service.com", 80).await.unwrap(), "a");
    server.set_backends(second);
    assert_eq!(through(&server, "a.my.service.com", 80).await.unwrap(), "b");
}

#[tokio::test]
async fn draining_aborts_clients_in_every_phase() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    let mut silent = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    let mut greeted = greet(&server).await;
    let mut flowing = greet(&server).await;
    flowing
        .write_all(&request(domain("a.my.service.com", 80)))
        .await
        .unwrap();
    assert_eq!(reply(&mut flowing).await.0, 0);
    assert_eq!(read_line(&mut flowing).await, "a");
    eventually(|| (server.listener().active() < 3).then(|| "not all accepted".to_owned())).await;
    let cut = within("drain", server.listener().drain(Duration::from_millis(20))).await;
    assert_eq!(cut, 3);
    assert_eq!(server.listener().active(), 0);
    expect_reset(&mut flowing).await;
    for stream in [&mut silent, &mut greeted] {
        let end = within("end", stream.read(&mut [0; 8])).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
}

#[tokio::test]
async fn an_ipv6_listener_serves_too() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let listener = sidecar::proxy::listener::bind("[::1]:0".parse().unwrap()).unwrap();
    let server = Socks5Server::start(
        listener,
        groups,
        false,
        None,
        Limits::default(),
        &Workers::default(),
    )
    .unwrap();
    assert_eq!(through(&server, "a.my.service.com", 80).await.unwrap(), "a");
    assert_ne!(server.listener().local_addr().port(), loopback().port());
}
