//! A node that behaves as the original: it is slow to check others, and ignores their messages until it has.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sidecar::mesh::wire::{
    Answer, Datagram, DatagramKind, Dropped, ExchangeKind, Meta, Node, NodeChange, NodeServices, NodeState,
    PATH_PREFIX, Request, ServiceList, ServiceNode, membership_hash,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::loopback::Subnet;

pub(crate) struct Original {
    node: Node,
    udp: UdpSocket,
    state: Arc<Mutex<State>>,
    calls_up_after: Duration,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    own: ServiceList,
    up: BTreeMap<Node, ServiceList>,
    dropped: usize,
    requests: usize,
    frozen: bool,
}

impl Original {
    pub(crate) async fn start(subnet: &Subnet, host: u32, calls_up_after: Duration) -> Self {
        let address = subnet.address(host);
        let node = Node::new("original", address, subnet.port, subnet.port).unwrap();
        let udp = UdpSocket::bind(node.datagram_address()).await.unwrap();
        let listener = TcpListener::bind(node.endpoint()).await.unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, node.clone(), state.clone()));
        Self {
            node,
            udp,
            state,
            calls_up_after,
            _tasks: tasks,
        }
    }

    pub(crate) async fn search(&self, to: SocketAddr) {
        search(&self.udp, &self.node, to).await;
    }

    pub(crate) fn offer(&self, service: &str, port: u16) {
        self.offer_at(service, &self.node.address().to_string(), port, "{}");
    }

    /// Offers an instance at any address, with this `meta`.
    pub(crate) fn offer_at(&self, service: &str, address: &str, port: u16, meta: &str) {
        let mut state = self.state.lock().unwrap();
        state.own = state.own.with(ServiceNode {
            service: format!("my-service-{service}"),
            zone: "example".to_owned(),
            address: address.to_owned(),
            port,
            meta: Meta::parse(meta).unwrap(),
        });
    }

    /// Accepts connections from now on, without answering.
    pub(crate) fn freeze(&self) {
        self.state.lock().unwrap().frozen = true;
    }

    pub(crate) fn dropped(&self) -> usize {
        self.state.lock().unwrap().dropped
    }

    /// Number of requests that it has received.
    pub(crate) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }

    pub(crate) fn list_of(&self, node: &Node) -> ServiceList {
        self.state
            .lock()
            .unwrap()
            .up
            .get(node)
            .cloned()
            .unwrap_or_default()
    }

    /// Has a node as healthy after two checks, and then asks for its list.
    pub(crate) async fn call_up(&self, node: &Node) {
        check(node.endpoint()).await;
        // This pause between checks is why the original is slow.
        tokio::time::sleep(self.calls_up_after).await;
        check(node.endpoint()).await;
        self.state
            .lock()
            .unwrap()
            .up
            .insert(node.clone(), ServiceList::default());
        let own = self.state.lock().unwrap().own.clone();
        let request = Request::Local(NodeServices {
            node: self.node.clone(),
            khala_nodes: own,
        });
        let Answer::Local(theirs) = self.ask(node, &request).await else {
            panic!("not a list")
        };
        assert_eq!(theirs.node, *node);
        self.state
            .lock()
            .unwrap()
            .up
            .insert(node.clone(), theirs.khala_nodes);
    }

    pub(crate) async fn tell_added(&self, node: &Node) {
        let added = self.state.lock().unwrap().own.iter().last().unwrap().clone();
        let change = NodeChange {
            node: self.node.clone(),
            khala_node: added,
        };
        assert_eq!(self.ask(node, &Request::Add(change)).await, Answer::Done);
    }

    async fn ask(&self, node: &Node, request: &Request) -> Answer {
        let body = String::from_utf8(request.body()).unwrap();
        let answer = put(self.node.address(), node.endpoint(), request.kind().name(), &body)
            .await
            .unwrap();
        Answer::parse(
            request.kind(),
            answer.split_once("\r\n\r\n").unwrap().1.as_bytes(),
            &mut Dropped::default(),
        )
        .unwrap()
    }
}

/// Sends a `search` as a node that knows no others.
pub(crate) async fn search(udp: &UdpSocket, node: &Node, to: SocketAddr) {
    let datagram = Datagram {
        kind: DatagramKind::Search,
        node_name: node.name().into(),
        udp_port: node.udp_port(),
        tcp_port: node.tcp_port(),
        hash: membership_hash([node]).into(),
        cookie: None,
    };
    udp.send_to(&datagram.encode(), to).await.unwrap();
}

/// The original's check: the connection must stay open for 50 ms.
pub(crate) async fn check(at: SocketAddr) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let read = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(
        read.is_err(),
        "a check connection was closed or answered: {read:?}"
    );
}

/// Sends a request as the original encodes it; returns the whole answer.
pub(crate) async fn put(own: IpAddr, to: SocketAddr, kind: &str, body: &str) -> io::Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(own, 0))?;
    let mut stream = socket.connect(to).await?;
    let head = format!(
        "PUT {PATH_PREFIX}{kind} HTTP/1.1\r\ncontent-type: application/json\r\n\
         User-Agent: vproxy/1.0.0-BETA-5-DEV\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await?;
    read_message(&mut stream).await
}

/// Reads one HTTP message with an optional `Content-Length` body.
pub(crate) async fn read_message(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Ok(text);
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn serve(listener: TcpListener, node: Node, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (node, state) = (node.clone(), state.clone());
        connections.spawn(async move {
            let Ok(message) = read_message(&mut stream).await else {
                return;
            };
            state.lock().unwrap().requests += 1;
            if state.lock().unwrap().frozen {
                std::future::pending::<()>().await;
            }
            let (head, body) = message.split_once("\r\n\r\n").unwrap();
            let path = head.split(' ').nth(1).unwrap();
            let kind = ExchangeKind::named(path.strip_prefix(PATH_PREFIX).unwrap()).unwrap();
            let request = Request::parse(kind, body.as_bytes(), &mut Dropped::default()).unwrap();
            let answer = state.lock().unwrap().answer(&node, request);
            let answer = match answer.body().map(|body| String::from_utf8(body).unwrap()) {
                Some(body) => format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                     X-Powered-By: vproxy/1.0.0-BETA-5-DEV\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
                None => "HTTP/1.1 204 No Content\r\nX-Powered-By: vproxy/1.0.0-BETA-5-DEV\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
            // It closes a moment later, when the other side may already rely on the connection.
            tokio::time::sleep(Duration::from_millis(5)).await;
        });
    }
}

impl State {
    /// Changes count only if they come from nodes that are up.
    fn list(&mut self, node: &Node) -> Option<&mut ServiceList> {
        let list = self.up.get_mut(node);
        self.dropped += usize::from(list.is_none());
        list
    }

    /// The text of all nodes that it has as up, itself included, and of their services.
    fn hash(&self, own: &Node) -> String {
        let mut all = self.up.clone();
        all.insert(own.clone(), self.own.clone());
        let mut text = String::new();
        for (node, services) in all {
            text += &format!(
                "{},{},{},{},",
                node.name(),
                node.address(),
                node.udp_port(),
                node.tcp_port()
            );
            for service in services.iter() {
                let ServiceNode {
                    service,
                    zone,
                    address,
                    port,
                    ..
                } = service;
                text += &format!("{service},{zone},{address},{port},");
            }
        }
        STANDARD.encode(text)
    }

    fn answer(&mut self, own: &Node, request: Request) -> Answer {
        match request {
            Request::Nodes(_) => Answer::Nodes(vec![NodeState {
                node: own.clone(),
                healthy: true,
            }]),
            Request::Local(NodeServices { node, khala_nodes }) => {
                if let Some(list) = self.list(&node) {
                    *list = khala_nodes;
                }
                Answer::Local(NodeServices {
                    node: own.clone(),
                    khala_nodes: self.own.clone(),
                })
            }
            Request::Add(NodeChange { node, khala_node }) => {
                if let Some(list) = self.list(&node) {
                    *list = list.with(khala_node);
                }
                Answer::Done
            }
            Request::Remove(NodeChange { node, khala_node }) => {
                if let Some(list) = self.list(&node) {
                    *list = list.without(&khala_node);
                }
                Answer::Done
            }
            Request::Hash(_) => Answer::Hash(self.hash(own).into()),
            Request::Sync(lists) => {
                let others = lists.iter().filter(|list| list.node != *own);
                self.dropped += others.filter(|list| !self.up.contains_key(&list.node)).count();
                Answer::Diff(lists.into_iter().map(|list| list.node).collect())
            }
        }
    }
}
