//! A listener's limits of connections, of all clients and of one.

use std::net::{Ipv4Addr, SocketAddr};

use sidecar::proxy::tcp_lb::TcpLb;
use sidecar::proxy::{Limits, Refusal};
use tokio::net::{TcpSocket, TcpStream};

use super::support::{backends, eventually, expect_reset, instance, lb, open, read_line};

/// A connection from this loopback address.
async fn from(source: u8, lb: &TcpLb) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, source), 0).into()).unwrap();
    socket.connect(lb.listener().local_addr()).await.unwrap()
}

async fn served(stream: &mut TcpStream) {
    assert_eq!(read_line(stream).await, "s");
}

async fn has(lb: &TcpLb, active: usize) {
    eventually(|| {
        let now = lb.listener().active();
        (now != active).then(|| format!("{now} connections, expected {active}"))
    })
    .await;
}

async fn one_instance() -> TcpLb {
    let address: SocketAddr = instance("s").await;
    let (groups, _) = backends("g", &[(address, 10)]);
    lb(groups, Limits::default())
}

#[tokio::test]
async fn one_client_has_no_more_connections_than_it_may() {
    let lb = one_instance().await;
    lb.listener().set_client_limit(2);
    let (mut first, mut second) = (from(7, &lb).await, from(7, &lb).await);
    served(&mut first).await;
    served(&mut second).await;
    expect_reset(&mut from(7, &lb).await).await;
    assert_eq!(lb.listener().refusals().of(Refusal::ClientLimit), 1);
    served(&mut from(8, &lb).await).await;
    drop(first);
    has(&lb, 1).await;
    let mut again = from(7, &lb).await;
    served(&mut again).await;
    expect_reset(&mut from(7, &lb).await).await;
    lb.listener().set_client_limit(0);
    served(&mut from(7, &lb).await).await;
}

/// Clients and instances of one machine share its address.
#[tokio::test]
async fn clients_of_this_machine_are_not_taken_for_a_loop() {
    let lb = one_instance().await;
    let mut held = Vec::new();
    for _ in 0..300 {
        let (stream, name) = open(&lb).await;
        assert_eq!(name, "s");
        held.push(stream);
    }
    assert_eq!(lb.listener().refusals().of(Refusal::Loop), 0);
}

#[tokio::test]
async fn a_listener_that_is_full_counts_it_and_serves_later() {
    let address = instance("s").await;
    let (groups, _) = backends("g", &[(address, 10)]);
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let lb = lb(groups, limits);
    assert_eq!(lb.listener().times_full(), 0);
    let (first, _second) = (open(&lb).await, open(&lb).await);
    let mut third = from(7, &lb).await;
    eventually(|| (lb.listener().times_full() == 0).then(|| "the limit was not noticed".to_owned())).await;
    drop(first);
    served(&mut third).await;
}
