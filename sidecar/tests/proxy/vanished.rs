//! Ends of idle connections that vanish without a word, as a machine that loses its power does.

use std::time::Duration;

use sidecar::proxy::{Keepalive, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::namespace::{entered, run};
use super::support::{DEADLINE, backends, eventually, lb, loopback};

/// One connection of a client through a load balancer, with the ports that its two halves come from.
struct Opened {
    client: TcpStream,
    from_client: u16,
    from_lb: u16,
}

async fn open(to: std::net::SocketAddr) -> Opened {
    let mut client = TcpStream::connect(to).await.unwrap();
    let from_lb = client.read_u16().await.unwrap();
    let from_client = client.local_addr().unwrap().port();
    Opened {
        client,
        from_client,
        from_lb,
    }
}

/// Drops all packets from and to a port.
fn cut(port: u16) {
    for end in ["--sport", "--dport"] {
        run(&format!("iptables -A INPUT -p tcp {end} {port} -j DROP"));
    }
}

/// An endpoint that tells each client the port that its connection comes from, echoes bytes, and reports the port when the
/// connection has ended.
async fn endpoint() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<u16>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ended, ends) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, from)) = listener.accept().await {
            let ended = ended.clone();
            tokio::spawn(async move {
                let _ = stream.write_u16(from.port()).await;
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = ended.send(from.port());
            });
        }
    });
    (address, ends)
}

#[tokio::test]
async fn an_end_that_vanished_is_noticed_and_a_live_idle_one_is_not_cut() {
    if !entered("vanished::an_end_that_vanished_is_noticed_and_a_live_idle_one_is_not_cut") {
        return;
    }
    let (address, mut ends) = endpoint().await;
    let (groups, _) = backends("g", &[(address, 10)]);
    let limits = Limits {
        keepalive: Keepalive {
            after: Duration::ZERO,
            idle: Duration::from_secs(1),
            interval: Duration::from_secs(1),
        },
        ..Limits::default()
    };
    let lb = lb(groups, limits);
    let to = lb.listener().local_addr();
    let (mut live, lost_client, mut lost_endpoint) = (open(to).await, open(to).await, open(to).await);
    cut(lost_client.from_client);
    cut(lost_endpoint.from_lb);
    let end = tokio::time::timeout(DEADLINE, lost_endpoint.client.read_u8()).await;
    let end = end.expect("the client is told that its endpoint has vanished");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let end = tokio::time::timeout(DEADLINE, ends.recv()).await;
    let end = end.expect("the endpoint is told that its client has vanished");
    assert_eq!(end, Some(lost_client.from_lb));
    eventually(|| (lb.listener().active() != 1).then(|| format!("{} connections", lb.listener().active())))
        .await;
    live.client.write_all(b"x").await.unwrap();
    assert_eq!(live.client.read_u8().await.unwrap(), b'x');
}
