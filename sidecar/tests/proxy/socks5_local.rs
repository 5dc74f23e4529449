//! Clients of a SOCKS5 server beyond loopback, which must not reach what listens on this machine's loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use sidecar::balance::ServerGroups;
use sidecar::proxy::listener::bind;
use sidecar::proxy::socks5::Socks5Server;
use sidecar::proxy::socks5::wire::Destination;
use sidecar::proxy::workers::Workers;
use sidecar::proxy::{Limits, Refusal};
use tokio::io::AsyncWriteExt;

use super::socks5::{NAME, domain, greet, reply, request};
use super::support::{backends, eventually, instance};

const NOT_ALLOWED: u8 = 2;

fn server(address: SocketAddr, groups: Arc<ServerGroups>) -> Socks5Server {
    let (limits, workers) = (Limits::default(), Workers::default());
    Socks5Server::start(bind(address).unwrap(), groups, true, None, limits, &workers).unwrap()
}

async fn code_for(server: &Socks5Server, destination: Destination) -> u8 {
    let mut stream = greet(server).await;
    stream.write_all(&request(destination)).await.unwrap();
    reply(&mut stream).await.0
}

/// Loopback in each form that leads there, with the port of an instance on 127.0.0.1.
fn spellings(port: u16) -> Vec<Destination> {
    let addresses = [
        "127.0.0.1",
        "127.0.0.53",
        "0.0.0.0",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::1",
        "::",
    ];
    let addresses = addresses.map(|ip| Destination::Address(SocketAddr::new(ip.parse().unwrap(), port)));
    let names = [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
    ];
    let names = names.map(|name| domain(name, port));
    addresses.into_iter().chain(names).collect()
}

#[tokio::test]
async fn loopback_is_not_reached_from_beyond_it_in_any_spelling() {
    let port = instance("local").await.port();
    let (groups, _) = backends(NAME, &[]);
    let server = server((Ipv4Addr::UNSPECIFIED, 0).into(), groups);
    let spellings = spellings(port);
    for destination in &spellings {
        let code = code_for(&server, destination.clone()).await;
        assert_eq!(code, NOT_ALLOWED, "{destination}");
    }
    for link_local in [
        "169.254.169.254:80",
        "[fe80::1]:80",
        "[::ffff:169.254.169.254]:80",
    ] {
        let destination = Destination::Address(link_local.parse().unwrap());
        assert_eq!(code_for(&server, destination).await, NOT_ALLOWED, "{link_local}");
    }
    let all = spellings.len() as u64 + 3;
    eventually(|| {
        let refused = server.listener().refusals().of(Refusal::NotAllowed);
        (refused != all).then(|| format!("{refused} of {all} refusals are counted"))
    })
    .await;
}

#[tokio::test]
async fn loopback_is_reached_with_allow_local_or_from_loopback() {
    let local = instance("local").await;
    let (groups, _) = backends(NAME, &[]);
    let open = server((Ipv4Addr::UNSPECIFIED, 0).into(), Arc::clone(&groups));
    let here = server((Ipv4Addr::LOCALHOST, 0).into(), groups);
    open.set_allow_local(true);
    for destination in [Destination::Address(local), domain("localhost", local.port())] {
        assert_eq!(code_for(&open, destination.clone()).await, 0, "{destination}");
        assert_eq!(code_for(&here, destination.clone()).await, 0, "{destination}");
    }
    open.set_allow_local(false);
    assert_eq!(code_for(&open, Destination::Address(local)).await, NOT_ALLOWED);
}

#[tokio::test]
async fn a_backend_on_loopback_is_reached_from_beyond_it() {
    let local = instance("local").await;
    let (groups, _) = backends(NAME, &[(local, 10)]);
    let server = server((Ipv4Addr::UNSPECIFIED, 0).into(), groups);
    assert_eq!(code_for(&server, Destination::Address(local)).await, 0);
    assert_eq!(code_for(&server, domain("a.my.service.com", 80)).await, 0);
}
