//! Local ports run out: a connection to one destination takes one of them until a minute after its end.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::namespace::{entered, limit_ports};
use crate::support::{Client, DEADLINE, Sidecar, echo, eventually, free_address, one_server};

const PORTS: u16 = 300;

/// A sidecar with one server, which is checked at this interval in milliseconds, in a namespace with few ports; and its
/// listener.
async fn start(period: u32) -> (Sidecar, std::net::SocketAddr) {
    let (backend, listener) = (echo().await, free_address());
    let commands = one_server(listener, backend, period);
    let sidecar = Sidecar::start("exec", &commands, "").await;
    sidecar.logged("server is UP").await;
    limit_ports(PORTS);
    (sidecar, listener)
}

async fn checks_find_no_port(sidecar: &Sidecar) {
    sidecar.logged("a health check could not be made").await;
    sidecar
        .grows(
            "sidecar_server_checks_total{group=\"g\",server=\"s\",outcome=\"not_made\"}",
            10,
        )
        .await;
}

async fn all_work(sidecar: &Sidecar, clients: &mut [Client]) {
    for (number, client) in clients.iter_mut().enumerate() {
        let outcome = client.echoes().await;
        outcome.unwrap_or_else(|error| panic!("client {number}: {error}; the log:\n{}", sidecar.log()));
    }
    let log = sidecar.log();
    assert!(!log.contains("DOWN"), "{log}");
}

#[tokio::test]
async fn many_long_connections_outlive_a_lack_of_ports() {
    if !entered("ports::many_long_connections_outlive_a_lack_of_ports") {
        return;
    }
    let (sidecar, listener) = start(300).await;
    let mut clients = Vec::new();
    // Health checks take the other ports, and on a slow machine some more.
    while clients.len() < 294 {
        let Ok(mut client) = Client::connect(listener).await else {
            break;
        };
        if client.echoes().await.is_err() {
            break;
        }
        clients.push(client);
    }
    assert!(clients.len() > 100, "only {} connections", clients.len());
    checks_find_no_port(&sidecar).await;
    all_work(&sidecar, &mut clients).await;
}

#[tokio::test]
async fn long_connections_outlive_ports_in_time_wait() {
    if !entered("ports::long_connections_outlive_ports_in_time_wait") {
        return;
    }
    let (sidecar, listener) = start(50).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(listener).await.unwrap();
        client.works().await;
        clients.push(client);
    }
    // The sidecar closes first the connections that its client closes.
    eventually(async || match Client::connect(listener).await {
        Ok(mut client) => {
            let ended = client.echoes().await;
            (ended.is_ok()).then(|| "there are still ports".to_owned())
        }
        Err(_) => None,
    })
    .await;
    checks_find_no_port(&sidecar).await;
    all_work(&sidecar, &mut clients).await;
}

/// Takes all ports to an address.
async fn use_up(to: std::net::SocketAddr) -> Vec<TcpStream> {
    let mut taken = Vec::new();
    while let Ok(client) = TcpStream::connect(to).await {
        taken.push(client);
    }
    assert!(taken.len() > 200, "only {} ports", taken.len());
    taken
}

/// Ports are counted by destination.
#[tokio::test]
async fn without_a_port_to_one_server_another_is_tried() {
    if !entered("ports::without_a_port_to_one_server_another_is_tried") {
        return;
    }
    let (full, other, listener) = (echo().await, echo().await, free_address());
    let commands = format!(
        "add server-groups x\n\
         add server-group g timeout 2000 period 50 up 1 down 3\n\
         add server-group g to server-groups x\n\
         add server full to server-group g address {full}\n\
         add server other to server-group g address {other}\n\
         add tcp-lb lb address {listener} server-groups x\n"
    );
    let sidecar = Sidecar::start("exec", &commands, "").await;
    eventually(async || {
        let up = sidecar.metric("sidecar_server_up{").await;
        (up < 2).then(|| format!("{up} servers are up"))
    })
    .await;
    limit_ports(PORTS);
    let _taken = use_up(full).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Client::connect(listener).await.unwrap());
    }
    all_work(&sidecar, &mut clients).await;
}

/// The reply "general SOCKS server failure" (RFC 1928, section 6): no other code says that the server is to blame.
#[tokio::test]
async fn a_socks5_client_is_told_of_a_lack_of_ports() {
    if !entered("ports::a_socks5_client_is_told_of_a_lack_of_ports") {
        return;
    }
    let (backend, proxy) = (echo().await, free_address());
    let commands = format!(
        "add server-groups x\n\
         add server-group g:80 timeout 2000 period 50 up 1 down 3\n\
         add server-group g:80 to server-groups x\n\
         add server s to server-group g:80 address {backend}\n\
         add socks5-server p address {proxy} server-groups x\n"
    );
    let sidecar = Sidecar::start("exec", &commands, "").await;
    sidecar.logged("server is UP").await;
    limit_ports(PORTS);
    let _taken = use_up(backend).await;
    let mut client = TcpStream::connect(proxy).await.unwrap();
    client
        .write_all(b"\x05\x01\x00\x05\x01\x00\x03\x01g\x00\x50")
        .await
        .unwrap();
    let mut reply = [0; 4];
    let read = tokio::time::timeout(DEADLINE, client.read_exact(&mut reply)).await;
    read.expect("a reply within the deadline").unwrap();
    assert_eq!(reply, [5, 0, 5, 1], "{}", sidecar.log());
}
