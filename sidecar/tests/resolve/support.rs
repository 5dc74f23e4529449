//! A controller whose host names are resolved by a test's name server, and endpoints on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sidecar::balance::ServerView;
use sidecar::control::{CommandError, Controller, Offers, Reply};
use sidecar::dns::Settings;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::name_server::NameServer;

/// Deadline for anything that a condition is polled for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A controller that counts addresses of loopback, except 127.0.0.1, which is the machine's own.
pub(crate) fn controller(server: &NameServer) -> Controller {
    Controller::new(Offers::new(), None).with_resolver(Settings {
        server: Some(server.address),
        networks: Some(vec!["127.0.0.0/8".parse().unwrap()]),
    })
}

pub(crate) async fn run(controller: &Controller, command: &str) -> Result<Reply, CommandError> {
    controller.execute(command.parse()?).await
}

/// Adds a group whose servers change state after one check.
pub(crate) async fn add_group(controller: &Controller, port: u16) {
    let command =
        format!("add server-group g timeout 500 period 20 up 1 down 1 resolve api.test port {port}");
    run(controller, &command).await.unwrap();
}

/// The servers of the group, sorted by address.
pub(crate) fn servers(controller: &Controller) -> Vec<ServerView> {
    let mut servers = controller.groups().remove(0).servers;
    servers.sort_by_key(|server| server.address);
    servers
}

/// Polls until the group has exactly these servers, given as `IP` if they are down and as `+IP` if they are up.
pub(crate) async fn becomes(controller: &Controller, expected: &[&str]) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let line = |server: &ServerView| {
            let sign = if server.up { "+" } else { "" };
            format!("{sign}{}", server.address.ip())
        };
        let found: Vec<String> = servers(controller).iter().map(line).collect();
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "expected {expected:?}, found {found:?}"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// Polls until a number has grown by `more`.
pub(crate) async fn grows(what: &str, more: u64, mut number: impl FnMut() -> u64) {
    let (deadline, first) = (Instant::now() + DEADLINE, number());
    while number() < first + more {
        assert!(Instant::now() < deadline, "{what} stays at {}", number());
        sleep(Duration::from_millis(5)).await;
    }
}

/// Listeners on the same port of these addresses.
pub(crate) async fn listeners<const N: usize>(ips: [[u8; 4]; N]) -> [TcpListener; N] {
    'port: loop {
        let mut port = 0;
        let mut bound = Vec::new();
        for ip in ips {
            // Another process may have the port at this address.
            let Ok(listener) = TcpListener::bind((Ipv4Addr::from(ip), port)).await else {
                continue 'port;
            };
            port = listener.local_addr().unwrap().port();
            bound.push(listener);
        }
        return bound.try_into().unwrap();
    }
}

pub(crate) fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// Accepts connections and holds each until its client ends it.
pub(crate) fn serve(listener: TcpListener) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(length) = stream.read(&mut buffer).await
                    && length > 0
                {
                    use tokio::io::AsyncWriteExt;
                    stream.write_all(&buffer[..length]).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}
