//! Nodes with real sockets, each on its own loopback address.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::loopback::{Subnet, eventually, eventually_async, eventually_in, offer};
use crate::common::original::Original;
use sidecar::balance::service::LastChoice;
use sidecar::mesh::StartError;
use sidecar::mesh::view::Health;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_appear_everywhere_and_are_withdrawn_everywhere() {
    let subnet = Subnet::new();
    let mut nodes = Vec::new();
    for host in 1..=4 {
        nodes.push(
            subnet
                .start(host, vec![offer("a", subnet.address(host), 8000, 10)])
                .await,
        );
    }
    for node in &nodes {
        eventually_in(&mut node.mesh.view(), "every node is up", |view| {
            view.nodes.len() == 4 && view.nodes.iter().all(|node| node.health == Health::Up)
        })
        .await;
        eventually_in(&mut node.mesh.instances(), "four instances of a", |instances| {
            instances.offered.values().map(Vec::len).collect::<Vec<_>>() == [4]
        })
        .await;
    }
    nodes[2]
        .offers
        .send_replace(vec![offer("b", subnet.address(3), 9000, 7)]);
    for node in &nodes {
        eventually_in(
            &mut node.mesh.instances(),
            "three instances of a, one of b",
            |instances| {
                instances.offered.values().map(Vec::len).collect::<Vec<_>>() == [3, 1]
                    && instances
                        .offered
                        .values()
                        .nth(1)
                        .is_some_and(|b| b[0].weight == 7)
            },
        )
        .await;
    }
    let hashes: Vec<String> = nodes
        .iter()
        .map(|node| node.mesh.view().borrow().hash.clone())
        .collect();
    assert!(
        hashes.iter().all(|hash| *hash == hashes[0]),
        "the views' hashes differ: {hashes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_is_forgotten_by_all() {
    let subnet = Subnet::new();
    let mut nodes = Vec::new();
    for host in 1..=3 {
        nodes.push(
            subnet
                .start(host, vec![offer("a", subnet.address(host), 8000, 10)])
                .await,
        );
    }
    for node in &nodes {
        eventually_in(&mut node.mesh.instances(), "three instances", |instances| {
            instances.offered.values().map(Vec::len).sum::<usize>() == 3
        })
        .await;
    }
    let leaver = nodes.remove(0);
    leaver.mesh.leave(Duration::from_secs(2)).await;
    for node in &nodes {
        eventually_in(&mut node.mesh.view(), "the node that left is not known", |view| {
            view.nodes.len() == 2
        })
        .await;
        eventually_in(&mut node.mesh.instances(), "two instances", |instances| {
            instances.offered.values().map(Vec::len).sum::<usize>() == 2
        })
        .await;
        let last_choice = node.mesh.instances().borrow().last_choice.clone();
        assert!(
            last_choice.is_empty(),
            "an instance that was withdrawn is a last choice: {last_choice:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_down_and_one_in_its_place_is_another() {
    let subnet = Subnet::new();
    let staying = subnet.start(1, vec![]).await;
    let dying = subnet
        .start(2, vec![offer("a", subnet.address(2), 8000, 10)])
        .await;
    eventually_in(
        &mut staying.mesh.instances(),
        "the other's instance",
        |instances| instances.offered.len() == 1,
    )
    .await;
    // Dropped: its sockets close without a `leave`.
    drop(dying);
    eventually_in(&mut staying.mesh.instances(), "no instance", |instances| {
        instances.offered.is_empty()
    })
    .await;
    eventually_in(&mut staying.mesh.view(), "the other is down", |view| {
        view.nodes
            .iter()
            .filter(|node| node.health == Health::Down)
            .count()
            == 1
    })
    .await;
    let recreated = subnet.start_named(2, "recreated", vec![]).await;
    for node in [&staying, &recreated] {
        eventually_in(
            &mut node.mesh.view(),
            "two nodes, the new one among them",
            |view| {
                let names: Vec<&str> = view
                    .nodes
                    .iter()
                    .map(|node| node.node.node_name.as_str())
                    .collect();
                names == ["node1", "recreated"] && view.nodes.iter().all(|node| node.health == Health::Up)
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_takes_connections_but_does_not_answer_is_down() {
    let subnet = Subnet::new();
    let node = subnet.start(1, vec![]).await;
    let other = Original::start(&subnet, 2, Duration::ZERO).await;
    other.offer("b", 9000);
    other.search(node.mesh.node().datagram_address()).await;
    eventually_in(&mut node.mesh.instances(), "the other's instance", |instances| {
        instances.offered.len() == 1
    })
    .await;
    assert!(node.mesh.instances().borrow().last_choice.is_empty());
    other.freeze();
    let address = SocketAddr::new(subnet.address(2), 9000);
    eventually_in(
        &mut node.mesh.instances(),
        "its instance is the last choice",
        |instances| {
            let mut lost = instances.last_choice.values().flatten();
            instances.offered.is_empty()
                && lost.any(|(instance, why)| instance.address == address && *why == LastChoice::NodeDown)
        },
    )
    .await;
    let view = node.mesh.view().borrow().clone();
    assert_eq!(view.nodes[1].health, Health::Down);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_original_node_that_asks_late_and_ours_get_the_right_lists() {
    let subnet = Subnet::new();
    let node = subnet
        .start(1, vec![offer("a", subnet.address(1), 8000, 15)])
        .await;
    let slow = Duration::from_millis(700);
    let other = Original::start(&subnet, 2, slow).await;
    other.search(node.mesh.node().datagram_address()).await;
    eventually_in(&mut node.mesh.view(), "the original is up", |view| {
        view.nodes.len() == 2 && view.nodes[1].health == Health::Up
    })
    .await;
    node.offers.send_replace(vec![
        offer("a", subnet.address(1), 8000, 15),
        offer("a", subnet.address(1), 8001, 10),
    ]);
    let requests = other.requests();
    eventually("the original was checked a few times", || {
        other.requests() > requests + 3
    })
    .await;
    assert_eq!(
        other.dropped(),
        0,
        "it has refused nothing, since nothing is sent about us until it has us as up"
    );
    other.call_up(&node.mesh.node()).await;
    eventually("the original has both instances", || {
        other.list_of(&node.mesh.node()).len() == 2
    })
    .await;
    node.offers
        .send_replace(vec![offer("a", subnet.address(1), 8001, 10)]);
    eventually("the original has one instance", || {
        other.list_of(&node.mesh.node()).len() == 1
    })
    .await;
    assert_eq!(other.dropped(), 0);

    other.offer("b", 9000);
    other.tell_added(&node.mesh.node()).await;
    eventually_in(&mut node.mesh.instances(), "an instance of each", |instances| {
        instances.offered.len() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_odd_service_does_not_hide_the_others_of_its_node() {
    let subnet = Subnet::new();
    let node = subnet.start(1, vec![]).await;
    let other = Original::start(&subnet, 2, Duration::from_millis(50)).await;
    other.offer("b", 9000);
    other.offer("a,b", 9001);
    other.offer(&"x".repeat(300), 9002);
    other.search(node.mesh.node().datagram_address()).await;
    eventually_in(&mut node.mesh.instances(), "the usable instance", |instances| {
        instances.offered.len() == 1
    })
    .await;
    let instances = node.mesh.instances().borrow().clone();
    let offered: Vec<_> = instances.offered.values().flatten().collect();
    assert_eq!(offered.len(), 1);
    assert_eq!(offered[0].address.port(), 9000);
    assert!(node.mesh.counters().unusable() >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_get_400_and_a_check_connection_stays_open() {
    let subnet = Subnet::new();
    let node = subnet.start(1, vec![]).await;
    let at = node.mesh.node().endpoint();
    for (path, body) in [
        ("khala.nope", "{}"),
        ("node", "{}"),
        ("node", "[{}]"),
        ("khala.local", "["),
        (
            "khala.add",
            r#"{"node":{"nodeName":"x","address":"1.2.3.4","udpPort":0,"tcpPort":1}}"#,
        ),
    ] {
        let answer = crate::common::original::put(at.ip(), at, path, body)
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path} {body}: {answer}");
        assert!(
            answer.contains("{\"code\":400,\"message\":\""),
            "{path} {body}: {answer}"
        );
        assert!(
            answer.contains("\r\nContent-Type: application/json\r\n"),
            "{answer}"
        );
    }
    crate::common::original::check(at).await;
    assert_eq!(node.mesh.counters().rejected(), 5);
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_its_setting() {
    let subnet = Subnet::new();
    let _first = subnet.start(1, vec![]).await;
    let (_offers, offers) = watch::channel(Vec::new());
    let second = sidecar::mesh::Mesh::start(subnet.config(1), "second", offers).await;
    let error = second.expect_err("the port is in use");
    assert!(
        matches!(
            error,
            StartError::Bind {
                setting: "discovery.udp_port",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("discovery.udp_port"), "{error}");
}

#[tokio::test]
async fn an_invalid_host_name_is_reported() {
    let subnet = Subnet::new();
    let (_offers, offers) = watch::channel(Vec::new());
    let started = sidecar::mesh::Mesh::start(subnet.config(1), "a,b", offers).await;
    let error = started.expect_err("a name with a comma");
    assert!(error.to_string().contains("host name"), "{error}");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(
        cause.as_deref(),
        Some(r#"nodeName: expected no commas, found "a,b""#)
    );
}

/// Sends only a request head that announces a large body.
async fn announce_body(from: std::net::IpAddr, to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let head = "PUT /discovery/api/v1/exchange/node HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_wait_for_permits_and_small_ones_do_not() {
    let subnet = Subnet::new();
    let node = subnet.start(1, vec![]).await;
    let at = node.mesh.node().endpoint();
    let mut slow = Vec::new();
    // Each address has one permit, and there are three in all.
    for host in [2, 2, 3, 4] {
        slow.push(announce_body(subnet.address(host), at).await);
    }
    let late = subnet.address(5);
    let large = format!("[{}]", " ".repeat(100_000));
    eventually_async("a large body has no permit", async || {
        let answer = crate::common::original::put(late, at, "node", &large).await;
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 503 "))
    })
    .await;
    let small = crate::common::original::put(late, at, "node", "[]")
        .await
        .unwrap();
    assert!(small.starts_with("HTTP/1.1 200 "), "{small}");
    drop(slow);
    eventually_async("a large body is read", async || {
        let answer = crate::common::original::put(late, at, "node", &large).await;
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    })
    .await;
}

/// RFC 9110, sections 15.5.6 and 15.5.14.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_and_larger_bodies_are_refused() {
    let subnet = Subnet::new();
    let node = subnet.start(1, vec![]).await;
    for (method, length, status, header) in [
        ("GET", 0, "405", "Allow: PUT"),
        // The body is not waited for.
        ("PUT", 1 << 30, "413", "Connection: close"),
    ] {
        let connected = TcpStream::connect(node.mesh.node().endpoint()).await;
        let mut stream = connected.expect("it listens");
        let head = format!(
            "{method} /discovery/api/v1/exchange/khala.hash HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let header = format!("\r\n{header}\r\n").to_lowercase();
        assert!(answer.to_lowercase().contains(&header), "{answer}");
    }
}

/// The original's requests have no Host; that no request has two is RFC 9112, section 3.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_has_any_host_or_none_but_not_two() {
    let subnet = Subnet::new();
    let node = subnet.start(1, vec![]).await;
    for (hosts, status) in [
        ("", 405),
        ("Host: evil.example.com\r\n", 405),
        ("Host: a\r\nHost: a\r\n", 400),
    ] {
        let connected = TcpStream::connect(node.mesh.node().endpoint()).await;
        let mut stream = connected.expect("it listens");
        let request = format!(
            "GET /discovery/api/v1/exchange/khala.local HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{hosts:?}: {answer}"
        );
    }
}
