//! The load balancer over real connections, on several worker threads.

use sidecar::balance::ServerGroups;
use sidecar::proxy::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{ask, backends, eventually, expect_reset, instance, lb, open, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_equal_servers_alternate_strictly() {
    let (groups, _) = backends("g", &[(instance("a").await, 10), (instance("b").await, 10)]);
    let lb = lb(groups, Limits::default());
    for round in 0..50 {
        assert_eq!([ask(&lb).await, ask(&lb).await], ["a", "b"], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifteen_to_ten_over_twenty_five_connections() {
    let (groups, group) = backends("g", &[(instance("a").await, 15), (instance("b").await, 10)]);
    let lb = lb(groups, Limits::default());
    for _ in 0..3 {
        let mut names = Vec::new();
        for _ in 0..25 {
            names.push(ask(&lb).await);
        }
        assert_eq!(names.iter().filter(|n| *n == "a").count(), 15, "{names:?}");
        assert!(!names.windows(2).any(|w| w[0] == "b" && w[1] == "b"), "{names:?}");
    }
    let servers = group.servers();
    assert_eq!(servers[0].totals.connections, 45);
    assert_eq!(servers[1].totals.connections, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_and_connections_are_counted_everywhere() {
    let (groups, group) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    let (mut stream, _) = open(&lb).await;
    stream.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    within("echo", stream.read_exact(&mut echoed)).await.unwrap();
    // Counted while the connection lasts, not only at its end.
    eventually(|| {
        let totals = lb.listener().totals();
        ((totals.to_instance, totals.to_client) != (5, 7)).then(|| format!("{totals:?}"))
    })
    .await;
    let totals = lb.listener().totals();
    assert_eq!((totals.active, totals.connections), (1, 1));
    drop(stream);
    eventually(|| (lb.listener().active() != 0).then(|| "still active".to_owned())).await;
    let totals = lb.listener().totals();
    assert_eq!(group.counters().totals(), totals);
    assert_eq!(group.servers()[0].totals, totals);
}

#[tokio::test]
async fn the_client_is_reset_if_there_is_no_instance() {
    let lb = lb(ServerGroups::new("empty"), Limits::default());
    let mut stream = tokio::net::TcpStream::connect(lb.listener().local_addr())
        .await
        .unwrap();
    expect_reset(&mut stream).await;
}

#[tokio::test]
async fn backends_change_live_and_connections_stay() {
    let (first, _) = backends("g", &[(instance("a").await, 10)]);
    let (second, _) = backends("g", &[(instance("b").await, 10)]);
    let lb = lb(first, Limits::default());
    let (mut stream, name) = open(&lb).await;
    assert_eq!(name, "a");
    lb.set_backends(second);
    assert_eq!(ask(&lb).await, "b");
    stream.write_all(b"still\n").await.unwrap();
    assert_eq!(super::support::read_line(&mut stream).await, "still");
}
