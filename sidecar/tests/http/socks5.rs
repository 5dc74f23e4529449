//! Requests through SOCKS5, to a group that speaks HTTP.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use sidecar::balance::Protocol;
use sidecar::proxy::Limits;
use sidecar::proxy::socks5::Socks5Server;
use sidecar::proxy::workers::Workers;
use tokio_socks::tcp::Socks5Stream;

use super::support::{Body, ask, backends, loopback, named, set_servers, within};

fn server(groups: std::sync::Arc<sidecar::balance::ServerGroups>, limits: Limits) -> Socks5Server {
    let listener = sidecar::proxy::listener::bind(loopback()).unwrap();
    Socks5Server::start(listener, groups, false, None, limits, &Workers::default()).unwrap()
}

#[tokio::test]
async fn requests_of_one_tunnel_take_exact_turns() {
    let (groups, group) = backends("a.mesh:80", &[(named("one").await, 10), (named("two").await, 10)]);
    group.set_protocol(Protocol::Http);
    let server = server(groups, Limits::default());
    let tunnel = Socks5Stream::connect(server.listener().local_addr(), ("a.mesh", 80));
    let tunnel = within("reply", tunnel).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(tunnel))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(ask(&mut client, "/").await);
    }
    assert_eq!(names, ["one", "two"].repeat(3));
}

#[tokio::test]
async fn without_a_usable_endpoint_the_reply_is_a_failure() {
    let (groups, group) = backends("a.mesh:80", &[]);
    group.set_protocol(Protocol::Http1);
    let server = server(groups, Limits::default());
    let tunnel = Socks5Stream::connect(server.listener().local_addr(), ("a.mesh", 80));
    let error = within("reply", tunnel).await.unwrap_err();
    assert!(matches!(error, tokio_socks::Error::HostUnreachable), "{error}");
}

#[tokio::test]
async fn a_held_client_gets_its_reply_when_an_endpoint_is_there() {
    let (groups, group) = backends("a.mesh:80", &[]);
    group.set_protocol(Protocol::Http1);
    let limits = Limits {
        hold: Duration::from_secs(300),
        ..Limits::default()
    };
    let server = server(groups, limits);
    let tunnel = Socks5Stream::connect(server.listener().local_addr(), ("a.mesh", 80));
    let arrives = async {
        let one = named("one").await;
        set_servers(&group, &[(one, 10)]);
    };
    let (tunnel, ()) = within("reply", async { tokio::join!(tunnel, arrives) }).await;
    tunnel.unwrap();
}
