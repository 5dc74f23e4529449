//! Connections wait while the process has no free file descriptors. This is a separate test binary, because the limit
//! applies to the process.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sidecar::balance::{CheckConfig, Method, ServerGroup, ServerGroups};
use sidecar::fault::{Fault, Shortage};
use sidecar::limits::OpenFiles;
use sidecar::proxy::listener::bind;
use sidecar::proxy::tcp_lb::TcpLb;
use sidecar::proxy::workers::Workers;
use sidecar::proxy::{Limits, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Opens files until only `left` descriptors are free.
fn all_but(left: usize) -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    assert!(taken.len() > left);
    taken.truncate(taken.len() - left);
    taken
}

#[tokio::test]
async fn connections_wait_for_free_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(100),
            ..limit
        },
    )
    .unwrap();

    let instance = TcpListener::bind(loopback()).await.unwrap();
    let config = CheckConfig {
        timeout: Duration::from_secs(5),
        period: Duration::from_secs(1),
        up: 1,
        down: 1,
    };
    let group = ServerGroup::new("g", config, Method::Wrr);
    group.set_learned(vec![("s".to_owned(), instance.local_addr().unwrap(), 10)]);
    let groups = ServerGroups::new("backends");
    groups.attach(Arc::clone(&group), 10).unwrap();
    let lb = TcpLb::start(
        bind(loopback()).unwrap(),
        groups,
        None,
        Limits::default(),
        &Workers::default(),
    )
    .unwrap();
    let address = lb.listener().local_addr();
    tokio::spawn(async move {
        loop {
            match instance.accept().await {
                Ok((mut stream, _)) => stream.write_all(b"x").await.unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });

    // One descriptor for the client, none to accept its connection.
    let taken = all_but(1);
    let mut waits = TcpStream::connect(address).await.unwrap();
    let early = timeout(Duration::from_millis(200), waits.read_u8()).await;
    assert!(early.is_err(), "served without a descriptor: {early:?}");
    drop(taken);
    let served = timeout(DEADLINE, waits.read_u8())
        .await
        .expect("served once a descriptor is free");
    assert_eq!(served.unwrap(), b'x');

    // One descriptor for the client, one to accept its connection, none to connect.
    let taken = all_but(2);
    let mut refused = TcpStream::connect(address).await.unwrap();
    let outcome = timeout(DEADLINE, refused.read_u8()).await.expect("an answer");
    assert_eq!(outcome.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    drop(taken);
    assert_eq!(group.counters().totals().connections, 1);
    assert_eq!(group.connects().failed.of(Fault::Own(Shortage::Descriptors)), 1);
    assert_eq!(lb.listener().refusals().of(Refusal::OutOfRoom), 1);
    assert!(group.servers()[0].up);

    // The limit can be raised again.
    let most = limit.maximum.unwrap_or(u64::MAX);
    assert_eq!(OpenFiles::raise().limit(), most);
    assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
}
