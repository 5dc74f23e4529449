//! Nodes with real sockets that have a key, another one, or none; and a peer that sends copies.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sidecar::mesh::Mesh;
use sidecar::mesh::key::envelope::Kind;
use sidecar::mesh::key::{Asking, MeshKey, Question, Refusal};
use sidecar::mesh::view::Health;
use sidecar::mesh::wire::{Datagram, DatagramKind, Node, NodeServices, Request};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use super::{boot, line};
use crate::common::loopback::{Started, Subnet, eventually, eventually_async, eventually_in};

const PREFIX: &str = "/discovery/api/v1/exchange/";

fn key_file(numbers: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    write(file.path(), numbers);
    file
}

/// Rewrites the file in place.
fn write(path: &Path, numbers: &[u8]) {
    let lines: String = numbers.iter().map(|number| line(*number) + "\n").collect();
    std::fs::write(path, lines).unwrap();
}

async fn are_a_mesh(nodes: &[&Started]) {
    for node in nodes {
        eventually_in(&mut node.mesh.view(), "every node is up", |view| {
            view.nodes.len() == nodes.len() && view.nodes.iter().all(|node| node.health == Health::Up)
        })
        .await;
        eventually_in(&mut node.mesh.instances(), "an instance of each", |instances| {
            instances.offered.values().map(Vec::len).collect::<Vec<_>>() == [nodes.len()]
        })
        .await;
    }
}

fn refused(mesh: &Mesh, why: Refusal) -> u64 {
    mesh.counters().refusals.count(why)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_the_key_are_a_mesh_and_leave_it() {
    let subnet = Subnet::new();
    let file = key_file(&[1]);
    let mut nodes = Vec::new();
    for host in 1..=3 {
        nodes.push(subnet.start_keyed(host, file.path()).await);
    }
    are_a_mesh(&nodes.iter().collect::<Vec<_>>()).await;
    let leaver = nodes.remove(1);
    leaver.mesh.leave(Duration::from_secs(2)).await;
    are_a_mesh(&nodes.iter().collect::<Vec<_>>()).await;
    let again = subnet.start_keyed(2, file.path()).await;
    nodes.push(again);
    are_a_mesh(&nodes.iter().collect::<Vec<_>>()).await;
    for node in &nodes {
        for why in [Refusal::Plain, Refusal::OtherKey, Refusal::Sealed] {
            assert_eq!(refused(&node.mesh, why), 0, "{}: {why:?}", node.mesh.node());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_the_key_with_another_one_and_without_one_are_three_meshes() {
    let subnet = Subnet::new();
    let (right, other) = (key_file(&[1]), key_file(&[2]));
    let keyed = [1, 2].map(|host| subnet.start_keyed(host, right.path()));
    let [keyed_one, keyed_two] = keyed;
    let (keyed_one, keyed_two) = tokio::join!(keyed_one, keyed_two);
    let stranger = subnet.start_keyed(3, other.path()).await;
    let plain = subnet.start(4, vec![]).await;
    are_a_mesh(&[&keyed_one, &keyed_two]).await;
    eventually("each node has counted the others", || {
        refused(&keyed_one.mesh, Refusal::OtherKey) > 2
            && refused(&keyed_one.mesh, Refusal::Plain) > 1
            && refused(&stranger.mesh, Refusal::OtherKey) > 2
            && refused(&stranger.mesh, Refusal::Plain) > 1
            && refused(&plain.mesh, Refusal::Sealed) > 3
    })
    .await;
    are_a_mesh(&[&keyed_one, &keyed_two]).await;
    for alone in [&stranger, &plain] {
        let known = alone.mesh.view().borrow().nodes.len();
        assert_eq!(known, 1, "nodes known to {}", alone.mesh.node());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_three_steps_loses_no_node_and_a_bad_file_changes_nothing() {
    let subnet = Subnet::new();
    let files: Vec<_> = (0..3).map(|_| key_file(&[1])).collect();
    let mut nodes = Vec::new();
    for (host, file) in (1..).zip(&files) {
        nodes.push(subnet.start_keyed(host, file.path()).await);
    }
    let all: Vec<_> = nodes.iter().collect();
    are_a_mesh(&all).await;
    let lost: Vec<_> = nodes.iter().map(|node| watch_for_loss(&node.mesh, 3)).collect();
    // None of these files can be used.
    for text in ["", "no key\n", "\u{fffd}"] {
        std::fs::write(files[0].path(), text).unwrap();
        assert!(nodes[0].mesh.read_key());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for step in [&[1, 2][..], &[2, 1], &[2]] {
        for (node, file) in nodes.iter().zip(&files) {
            write(file.path(), step);
            assert!(node.mesh.read_key());
        }
        for node in &nodes {
            eventually("the keys are in use", || {
                *node.mesh.mesh_key().unwrap().keys() == super::keys(step)
            })
            .await;
        }
        are_a_mesh(&all).await;
    }
    for (node, lost) in nodes.iter().zip(lost) {
        lost.abort();
        let ended = lost.await;
        assert!(
            ended.is_err_and(|error| error.is_cancelled()),
            "{} lost a node",
            node.mesh.node()
        );
        // A datagram that another one overtook while the nodes met counts as a copy.
        for why in [Refusal::Plain, Refusal::OtherKey, Refusal::Sealed] {
            assert_eq!(refused(&node.mesh, why), 0, "{}: {why:?}", node.mesh.node());
        }
    }
}

/// Ends when a node is not up in the view of one.
fn watch_for_loss(mesh: &Mesh, nodes: usize) -> tokio::task::JoinHandle<()> {
    let mut view = mesh.view();
    tokio::spawn(async move {
        let lost = view.wait_for(|view| {
            view.nodes.len() != nodes || view.nodes.iter().any(|node| node.health != Health::Up)
        });
        // Without the mesh nothing is lost.
        if lost.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// A node of this test: it has the key, and counts how often it is asked.
struct Peer {
    key: Arc<MeshKey>,
    socket: UdpSocket,
    own: SocketAddr,
    victim: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Peer {
    async fn start(subnet: &Subnet, host: u32, victim: u32) -> Self {
        let own = SocketAddr::new(subnet.address(host), subnet.port);
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind(own).await.unwrap();
        let count = asked.clone();
        tokio::spawn(async move {
            // Closes each connection without an answer.
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            key: boot(&[1]),
            socket: UdpSocket::bind(own).await.unwrap(),
            own,
            victim: SocketAddr::new(subnet.address(victim), subnet.port),
            asked,
        }
    }

    fn datagram(&self, kind: DatagramKind) -> Vec<u8> {
        let datagram = Datagram {
            kind,
            node_name: "peer".into(),
            udp_port: self.own.port(),
            tcp_port: self.own.port(),
            hash: "".into(),
            cookie: None,
        };
        self.key.seal_datagram(self.own, self.victim, &datagram.encode())
    }

    async fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.victim).await.unwrap();
    }

    fn asking(&self, exchange: &str) -> Asking {
        self.key.ask(self.own, self.victim, format!("{PREFIX}{exchange}"))
    }

    /// Sends a body, from an address; returns the status and the body of the answer.
    async fn put(&self, exchange: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(self.own.ip(), 0)).unwrap();
        let mut stream: TcpStream = socket.connect(self.victim).await.unwrap();
        let head = format!(
            "PUT {PREFIX}{exchange} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer.split_off(end + 4))
    }
}

/// The request with the list of a node with one instance.
fn list(own: SocketAddr) -> Vec<u8> {
    let node = Node::new("peer", own.ip(), own.port(), own.port()).unwrap();
    let services = NodeServices {
        node,
        khala_nodes: crate::common::lone::list(&[9000]),
    };
    Request::Local(services).body()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_datagrams_cost_one_question_a_second_and_change_nothing() {
    let subnet = Subnet::new();
    let file = key_file(&[1]);
    let victim = subnet.start_keyed(1, file.path()).await;
    let peer = Peer::start(&subnet, 2, 1).await;
    let copies =
        [DatagramKind::Search, DatagramKind::Inform, DatagramKind::Leave].map(|kind| peer.datagram(kind));
    are_a_mesh(&[&victim]).await;
    let start = tokio::time::Instant::now();
    let offered = victim.mesh.instances().borrow().offered.clone();
    while start.elapsed() < Duration::from_millis(1500) {
        for copy in &copies {
            peer.send(copy).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    eventually("it is asked", || peer.asked.load(Ordering::Relaxed) > 0).await;
    assert!(refused(&victim.mesh, Refusal::UnknownBoot) > 100);
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap() + 1;
    // What joining asks by itself comes on top: a node that does not answer is asked again after 400 ms and more.
    let asked = peer.asked.load(Ordering::Relaxed);
    assert!(asked <= 6 * seconds, "{asked} questions in {seconds} s");
    assert_eq!(victim.mesh.instances().borrow().offered, offered);
    let view = victim.mesh.view().borrow().clone();
    assert!(
        view.nodes
            .iter()
            .all(|node| node.node.node_name != "peer" || node.health == Health::Down),
        "{view:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_requests_change_nothing_before_and_after_a_restart() {
    let subnet = Subnet::new();
    let file = key_file(&[1]);
    let victim = subnet.start_keyed(1, file.path()).await;
    let peer = Peer::start(&subnet, 2, 1).await;
    let content = list(peer.own);
    let mut asking = peer.asking("khala.local");
    let question = asking.request(&content);
    let (status, challenge) = peer.put("khala.local", &question).await;
    assert_eq!((status, Kind::of(&challenge)), (425, Some(Kind::Challenge)));
    assert!(
        !victim
            .mesh
            .view()
            .borrow()
            .nodes
            .iter()
            .any(|node| node.node.node_name == "peer")
    );
    assert!(asking.challenge(&challenge));
    let proof = asking.request(&content);
    let (status, answer) = peer.put("khala.local", &proof).await;
    assert_eq!((status, Kind::of(&answer)), (200, Some(Kind::Answer)));
    let answer = String::from_utf8(asking.answer(&answer).unwrap()).unwrap();
    assert!(answer.contains("node1"), "{answer}");
    for copy in [&question, &proof] {
        assert_eq!(peer.put("khala.local", copy).await.0, 425);
    }
    assert!(refused(&victim.mesh, Refusal::Replayed) >= 2);
    victim.mesh.leave(Duration::from_secs(1)).await;

    let restarted = subnet.start_keyed(1, file.path()).await;
    for copy in [&question, &proof] {
        assert_eq!(peer.put("khala.local", copy).await.0, 425);
    }
    let view = restarted.mesh.view().borrow().clone();
    assert!(
        !view.nodes.iter().any(|node| node.node.node_name == "peer"),
        "{view:?}"
    );
    assert_eq!(refused(&restarted.mesh, Refusal::UnknownBoot), 2);
    // A live peer is let in.
    let mut asking = peer.asking("khala.local");
    let (_, challenge) = peer.put("khala.local", &asking.request(&content)).await;
    assert!(asking.challenge(&challenge));
    assert_eq!(peer.put("khala.local", &asking.request(&content)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_key_opens_is_refused_with_a_reason() {
    let subnet = Subnet::new();
    let file = key_file(&[1]);
    let victim = subnet.start_keyed(1, file.path()).await;
    let mut peer = Peer::start(&subnet, 2, 1).await;
    peer.key = boot(&[2]);
    let sealed = peer.asking("khala.local").request(&list(peer.own));
    let (status, answer) = peer.put("khala.local", &sealed).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(status == 403 && answer.contains("mesh key"), "{status} {answer}");
    assert_eq!(peer.put("khala.local", &list(peer.own)).await.0, 403);
    assert_eq!(refused(&victim.mesh, Refusal::OtherKey), 1);
    assert_eq!(refused(&victim.mesh, Refusal::Plain), 1);
    // A plain `leave` in the name of a member, which is no member here at all.
    let leave = Datagram {
        kind: DatagramKind::Leave,
        node_name: "peer".into(),
        udp_port: peer.own.port(),
        tcp_port: peer.own.port(),
        hash: "".into(),
        cookie: None,
    };
    eventually_async("the plain datagram is counted", async || {
        peer.send(&leave.encode()).await;
        refused(&victim.mesh, Refusal::Plain) > 1
    })
    .await;
    let question = boot(&[1]).open_request(peer.own.ip(), peer.victim, "", &sealed);
    assert!(!matches!(question, Some(Question::Fresh(..))));
}
