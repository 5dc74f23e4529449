//! Listeners on several workers share rotation, counters and shutdown.

use std::time::Duration;

use sidecar::proxy::Limits;
use sidecar::proxy::tcp_lb::TcpLb;
use sidecar::proxy::workers::Workers;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::support::{ask, backends, bind, eventually, instance, open, within};

#[tokio::test]
async fn servers_alternate_strictly_across_workers() {
    let (groups, group) = backends("g", &[(instance("a").await, 15), (instance("b").await, 10)]);
    let (workers, _threads) = Workers::start(3).unwrap();
    let lb = TcpLb::start(bind(), groups, None, Limits::default(), &workers).unwrap();
    for _ in 0..4 {
        let mut names = Vec::new();
        for _ in 0..25 {
            names.push(ask(&lb).await);
        }
        assert_eq!(names.iter().filter(|n| *n == "a").count(), 15, "{names:?}");
    }
    assert_eq!(group.counters().totals().connections, 100);
}

#[tokio::test]
async fn draining_a_listener_ends_its_connections_on_every_worker() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let (workers, _threads) = Workers::start(3).unwrap();
    let lb = TcpLb::start(bind(), groups, None, Limits::default(), &workers).unwrap();
    let mut held = Vec::new();
    for _ in 0..30 {
        held.push(open(&lb).await.0);
    }
    assert_eq!(lb.listener().sessions().len(), 30);
    let address = lb.listener().local_addr();
    assert_eq!(within("drain", lb.listener().drain(Duration::ZERO)).await, 30);
    for mut stream in held {
        let ended = within("end", stream.read(&mut [0; 8])).await;
        assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    }
    assert!(TcpStream::connect(address).await.is_err(), "the address is free");
}

#[tokio::test]
async fn connections_end_with_their_workers() {
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let (workers, threads) = Workers::start(2).unwrap();
    let lb = TcpLb::start(bind(), groups, None, Limits::default(), &workers).unwrap();
    let (mut stream, _) = open(&lb).await;
    tokio::task::spawn_blocking(move || drop(threads)).await.unwrap();
    let ended = within("end", stream.read(&mut [0; 8])).await;
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    eventually(|| (lb.listener().active() != 0).then(|| "still active".to_owned())).await;
}
