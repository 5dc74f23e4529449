//! Connections kept open between exchanges.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::common::loopback::{Started, Subnet, eventually, eventually_in, offer};
use crate::common::original::{Original, read_message, search};
use sidecar::mesh::counters::Outcome;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::Failure;
use sidecar::mesh::view::Health;
use sidecar::mesh::wire::{
    Answer, ExchangeKind, GOSSIP_HEADER, Node, NodeServices, PATH_PREFIX, Request, ServiceList,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Far longer than anything in these tests takes, and less than the timeout of an idle connection.
const DEADLINE: Duration = Duration::from_secs(8);

/// Peers that are up are not checked for an hour unless something happens.
fn unchecked() -> Config {
    Config {
        check_interval: Duration::from_secs(3600),
        nodes_delay: Duration::from_secs(3600),
        ..Config::default()
    }
}

/// As [`unchecked`]; missed probes do not take a peer down, either.
fn never_down() -> Config {
    Config {
        probe_timeout: Duration::from_secs(3600),
        ..unchecked()
    }
}

/// Waits until the only other known node is up, or down.
async fn other_is(node: &Started, health: Health) {
    eventually_in(
        &mut node.mesh.view(),
        &format!("the other is {health:?}"),
        |view| view.nodes.len() == 2 && view.nodes[1].health == health,
    )
    .await;
}

/// Offers one instance after another, each once the previous one is acknowledged.
async fn announce_changes(node: &Started, subnet: &Subnet, host: u32, announced: impl Fn(usize) -> bool) {
    let counters = node.mesh.counters();
    let mut offers = node.offers.borrow().clone();
    for port in 8001..8005 {
        offers.push(offer("a", subnet.address(host), port, 10));
        node.offers.send_replace(offers.clone());
        let count = u64::try_from(offers.len()).unwrap();
        eventually("a new instance is announced and acknowledged", || {
            announced(offers.len()) && counters.made(ExchangeKind::Add, Outcome::Answered) == count
        })
        .await;
    }
}

fn instances(of: &Started) -> usize {
    let instances = of.mesh.instances();
    let held = instances.borrow();
    held.offered.values().map(Vec::len).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_checks_is_detected_by_the_kept_connection() {
    let subnet = Subnet::new();
    let staying = subnet.start_with(1, "staying", vec![], unchecked()).await;
    let dying = subnet.start_with(2, "dying", vec![], unchecked()).await;
    for node in [&staying, &dying] {
        eventually_in(&mut node.mesh.view(), "both are up", |view| {
            view.nodes.len() == 2 && view.nodes.iter().all(|node| node.health == Health::Up)
        })
        .await;
    }
    announce_changes(&staying, &subnet, 1, |count| instances(&dying) == count).await;
    // Dropped: its sockets close without a `leave`.
    drop(dying);
    other_is(&staying, Health::Down).await;
}

/// The answers to a gossiping node's first two questions, which it asks one whose kind it does not know.
fn joins(node: &Node) -> [Answer; 2] {
    let list = NodeServices {
        node: node.clone(),
        khala_nodes: ServiceList::default(),
    };
    [Answer::Hash("".into()), Answer::Local(list)]
}

/// Gives these answers as a gossiping node does, and keeps the connection.
async fn answer(listener: &TcpListener, answers: &[Answer]) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    for answer in answers {
        read_message(&mut stream).await.unwrap();
        let body = answer.body().unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\n{GOSSIP_HEADER}: 1\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(&[head.as_bytes(), &body].concat())
            .await
            .unwrap();
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_a_gossiping_peer_is_detected_by_the_connection_of_its_join() {
    let subnet = Subnet::new();
    let staying = subnet.start_with(1, "staying", vec![], never_down()).await;
    let dying = Node::new("dying", subnet.address(2), subnet.port, subnet.port).unwrap();
    let udp = UdpSocket::bind(dying.datagram_address()).await.unwrap();
    let listener = TcpListener::bind(dying.endpoint()).await.unwrap();
    search(&udp, &dying, staying.mesh.node().datagram_address()).await;
    let kept = tokio::time::timeout(DEADLINE, answer(&listener, &joins(&dying)))
        .await
        .expect("it is asked for its list");
    other_is(&staying, Health::Up).await;
    let made = staying.mesh.counters();
    for kind in ExchangeKind::ALL {
        let once = u64::from(matches!(kind, ExchangeKind::Hash | ExchangeKind::Local));
        assert_eq!(made.made(kind, Outcome::Answered), once, "{kind:?}");
    }

    drop(listener);
    drop(kept);
    other_is(&staying, Health::Down).await;
}

/// Sends a request as a gossiping node without instances; returns the answer.
async fn ask_for_its_list(node: &Node, of: SocketAddr) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(node.address(), 0)).unwrap();
    let mut stream = socket.connect(of).await.unwrap();
    let list = Request::Local(NodeServices {
        node: node.clone(),
        khala_nodes: ServiceList::default(),
    });
    let body = list.body();
    let head = format!(
        "PUT {PATH_PREFIX}{} HTTP/1.1\r\n{GOSSIP_HEADER}: 1\r\nContent-Length: {}\r\n\r\n",
        list.kind().name(),
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();
    read_message(&mut stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_a_peer_that_asked_first_is_detected_by_our_own_connection() {
    let subnet = Subnet::new();
    let staying = subnet.start_with(1, "staying", vec![], never_down()).await;
    let dying = Node::new("dying", subnet.address(2), subnet.port, subnet.port).unwrap();
    let listener = TcpListener::bind(dying.endpoint()).await.unwrap();
    let met = ask_for_its_list(&dying, staying.mesh.node().endpoint()).await;
    assert!(met.starts_with("HTTP/1.1 200 "), "{met}");
    let kept = tokio::time::timeout(DEADLINE, answer(&listener, &joins(&dying)[1..]))
        .await
        .expect("it is asked as well");
    other_is(&staying, Health::Up).await;
    eventually("its answer is processed", || {
        staying
            .mesh
            .counters()
            .made(ExchangeKind::Local, Outcome::Answered)
            == 1
    })
    .await;

    drop(listener);
    drop(kept);
    other_is(&staying, Health::Down).await;
}

/// The local ports of handshakes with this endpoint that its kernel has not answered, see proc(5).
fn unanswered(to: SocketAddr) -> Vec<String> {
    const SYN_SENT: &str = "02";
    let IpAddr::V4(ip) = to.ip() else {
        panic!("{to} is not a loopback address")
    };
    let to = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), to.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[2] == to && row[3] == SYN_SENT)
        .map(|row| row[1].to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handshake_is_retried() {
    let subnet = Subnet::new();
    // Longer than all retries of the kernel.
    let slow = Config {
        join_timeout: Duration::from_secs(3600),
        ..unchecked()
    };
    let node = subnet.start_with(1, "node", vec![], slow).await;
    let other = Node::new("other", subnet.address(2), subnet.port, subnet.port).unwrap();
    let udp = UdpSocket::bind(other.datagram_address()).await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(other.endpoint()).unwrap();
    let listener = socket.listen(0).unwrap();
    // Fills its accept queue: later handshakes are dropped, as if they were lost.
    let _first = TcpStream::connect(other.endpoint()).await.unwrap();
    search(&udp, &other, node.mesh.node().datagram_address()).await;
    let seen = RefCell::new(BTreeSet::new());
    eventually("a handshake from another port", || {
        seen.borrow_mut().extend(unanswered(other.endpoint()));
        seen.borrow().len() > 1
    })
    .await;

    listener.accept().await.unwrap();
    let _kept = tokio::time::timeout(DEADLINE, answer(&listener, &joins(&other)))
        .await
        .expect("it is asked for its list");
    other_is(&node, Health::Up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_closes_after_each_answer_is_not_checked_more_often() {
    let subnet = Subnet::new();
    let node = subnet.start_with(1, "ours", vec![], unchecked()).await;
    let other = Original::start(&subnet, 2, Duration::ZERO).await;
    other.search(node.mesh.node().datagram_address()).await;
    eventually_in(&mut node.mesh.view(), "the original is up", |view| {
        view.nodes.len() == 2 && view.nodes[1].health == Health::Up
    })
    .await;
    other.call_up(&node.mesh.node()).await;
    announce_changes(&node, &subnet, 1, |count| {
        other.list_of(&node.mesh.node()).len() == count
    })
    .await;
    let counters = node.mesh.counters();
    let made: u64 = ExchangeKind::ALL
        .iter()
        .map(|kind| counters.made(*kind, Outcome::Answered))
        .sum();
    assert!(made <= 10, "{made} exchanges");
    assert!(other.requests() <= 11, "{} requests", other.requests());
    for kind in ExchangeKind::ALL {
        for failure in [Failure::Refused, Failure::Timeout, Failure::Bad] {
            let failed = counters.made(kind, Outcome::Failed(failure));
            assert_eq!(failed, 0, "{kind:?}: {failure:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_address_are_limited_and_all_end_with_the_node() {
    let subnet = Subnet::new();
    let node = subnet.start(1, vec![]).await;
    let at = node.mesh.node().endpoint();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(TcpStream::connect(at).await.unwrap());
    }
    open.push(TcpStream::connect(at).await.unwrap());
    let closed = tokio::time::timeout(DEADLINE, open[0].read_u8()).await;
    assert!(
        closed
            .expect("the first connection is closed at the limit")
            .is_err()
    );

    // Another address has its own limit.
    let answer = crate::common::original::put(subnet.address(2), at, "node", "[]").await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 200 "));

    drop(node);
    for mut stream in open {
        let closed = tokio::time::timeout(DEADLINE, stream.read_u8()).await;
        assert!(closed.expect("a connection ends with the node").is_err());
    }
}
