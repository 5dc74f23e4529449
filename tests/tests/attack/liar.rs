//! A member of the mesh that says what it is told to say.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::task::AbortOnDropHandle;

use crate::http;
use crate::namespace::Host;
use crate::wire::{self, PATH, PORT};

/// What the member says.
#[derive(Default)]
pub(crate) struct Script {
    /// Instances, in its own name.
    pub(crate) instances: Vec<Value>,
    /// Nodes, besides itself.
    pub(crate) nodes: Vec<Value>,
}

struct Says {
    name: String,
    address: Ipv4Addr,
    port: u16,
    /// Whether it is a sidecar of this implementation, not an original.
    gossips: bool,
    script: Mutex<Script>,
}

/// A running member; it ends with this value.
pub(crate) struct Liar {
    says: Arc<Says>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Liar {
    /// Joins the mesh of these nodes, as an original.
    pub(crate) fn join(host: &Host, mesh: Vec<Ipv4Addr>, script: Script) -> Self {
        Self::start(host, PORT, false, mesh, script)
    }

    /// As [`Liar::join`], at another port, and as a node that gossips: it is checked by probes, while each check of an original
    /// carries the text of all services.
    pub(crate) fn join_gossiping(host: &Host, port: u16, mesh: Vec<Ipv4Addr>, script: Script) -> Self {
        Self::start(host, port, true, mesh, script)
    }

    fn start(host: &Host, port: u16, gossips: bool, mesh: Vec<Ipv4Addr>, script: Script) -> Self {
        let says = Arc::new(Says {
            name: host.name.clone(),
            address: host.address,
            port,
            gossips,
            script: Mutex::new(script),
        });
        let listener = host.listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        let serving = tokio::spawn(serve(listener, Arc::clone(&says)));
        let searching = tokio::spawn(search(host.datagrams(port), mesh, Arc::clone(&says)));
        Self {
            says,
            _tasks: [serving, searching].map(AbortOnDropHandle::new),
        }
    }

    /// Tells members what nodes there are.
    pub(crate) async fn tell_nodes(&self, host: &Host, to: &[Ipv4Addr]) {
        let nodes = self.says.answer("node");
        self.tell(host, to, "node", &nodes).await;
    }

    /// Tells members of one more instance, in its own name.
    pub(crate) async fn add(&self, host: &Host, to: &[Ipv4Addr], instance: &Value) {
        let added = json!({"node": self.says.node(), "khalaNode": instance});
        self.tell(host, to, "khala.add", &added).await;
    }

    /// Asks a member for its list and tells it its own one, as a node that gossips does when it joins, until that is answered.
    pub(crate) async fn introduce(&self, host: &Host, to: Ipv4Addr) {
        let list = self.says.answer("khala.local").to_string();
        let path = format!("{PATH}khala.local");
        let request = http::request("PUT", &path, &list).replacen("\r\n", "\r\nmesh-gossip: 1\r\n", 1);
        crate::mesh::eventually("a member answers", async || {
            let stream = host.connect(wire::endpoint(to)).await;
            let asking = async { http::ask(stream?, &request).await };
            match asking.await {
                Ok((200, _)) => None,
                other => Some(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Tells members anything.
    pub(crate) async fn tell(&self, host: &Host, to: &[Ipv4Addr], kind: &str, body: &Value) {
        for member in to {
            if let Ok(stream) = host.connect(wire::endpoint(*member)).await {
                // It may be refused.
                let _ = wire::exchange(stream, kind, body).await;
            }
        }
    }
}

/// Searches the members, and answers searches.
async fn search(socket: UdpSocket, mesh: Vec<Ipv4Addr>, says: Arc<Says>) {
    const PERIOD: Duration = Duration::from_millis(500);
    const UNKNOWN: &str = "#1,0,0";
    let mut ticks = tokio::time::interval(PERIOD);
    let mut received = [0; 2048];
    // Of the originals', a hash that no other has; of gossip, the digests that it last heard, so that nothing differs.
    let mut hash = if says.gossips { UNKNOWN } else { "other" }.to_owned();
    loop {
        tokio::select! {
            // Who gossips and was answered is probed from then on.
            _ = ticks.tick(), if !says.gossips || hash == UNKNOWN => for address in &mesh {
                let _ = socket.send_to(&says.datagram("search", &hash), wire::endpoint(*address)).await;
            },
            datagram = socket.recv_from(&mut received) => if let Ok((length, from)) = datagram {
                let text = String::from_utf8_lossy(&received[..length]);
                if says.gossips && let Some(digests) = wire::digests(&text) {
                    hash = digests;
                }
                if text.contains("\"search\"") {
                    let to = SocketAddr::new(from.ip(), PORT);
                    let _ = socket.send_to(&says.datagram("inform", &hash), to).await;
                }
            },
        }
    }
}

async fn serve(listener: TcpListener, says: Arc<Says>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // Detached: ends with its connection.
            tokio::spawn(converse(stream, Arc::clone(&says)));
        }
    }
}

/// Answers the requests of one connection.
async fn converse(mut stream: TcpStream, says: Arc<Says>) {
    let header = if says.gossips { "mesh-gossip: 1\r\n" } else { "" };
    while let Ok(Some((line, _))) = http::read_request(&mut stream).await {
        let kind = line.split(' ').nth(1).and_then(|path| path.strip_prefix(PATH));
        let answer = match kind.unwrap_or_default() {
            kind @ ("node" | "khala.local" | "khala.hash" | "khala.sync") => {
                let content = says.answer(kind).to_string();
                format!(
                    "HTTP/1.1 200 OK\r\n{header}Content-Length: {}\r\n\r\n{content}",
                    content.len()
                )
            }
            _ => format!("HTTP/1.1 204 No Content\r\n{header}\r\n"),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
}

impl Says {
    fn node(&self) -> Value {
        wire::node(&self.name, self.address, self.port)
    }

    fn datagram(&self, kind: &str, hash: &str) -> Vec<u8> {
        wire::datagram(kind, &self.name, self.port, hash)
    }

    fn answer(&self, kind: &str) -> Value {
        let script = self.script.lock().unwrap();
        match kind {
            "node" => {
                let own = wire::healthy(&self.name, &self.address.to_string(), self.port);
                std::iter::once(own).chain(script.nodes.iter().cloned()).collect()
            }
            "khala.local" => {
                json!({"node": self.node(), "khalaNodes": script.instances})
            }
            "khala.hash" => json!({"hash": self.hash(&script)}),
            // Nothing differs.
            _ => json!({"diff": []}),
        }
    }

    /// The text that the original sends as a hash: the nodes and their instances.
    fn hash(&self, script: &Script) -> String {
        let mut text = format!("{},{},{port},{port},", self.name, self.address, port = self.port);
        for instance in &script.instances {
            let word = |key: &str| instance[key].as_str().unwrap_or_default().to_owned();
            let (service, zone, address) = (word("service"), word("zone"), word("address"));
            text += &format!("{service},{zone},{address},{},", instance["port"]);
        }
        BASE64_STANDARD.encode(text)
    }
}
