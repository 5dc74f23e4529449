//! While nobody reads the log, the sidecar stays in the mesh, answers, checks its servers, and stops when it is told to.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Stdio};

use crate::kill::kill;
use crate::program::{Sidecar, eventually, metric, page, request, sidecar};

/// Peers that come and go, on the last of sixteen addresses and the port that the sidecar searches.
const PEERS: u32 = 14;

/// A network of sixteen loopback addresses that no other process uses, and ports free on it.
struct Subnet {
    base: u32,
    port: u16,
    /// Where datagrams come from.
    source_port: u16,
}

impl Subnet {
    fn new() -> Self {
        // 127.192.0.0/12.
        let base = (127 << 24) | (192 << 16) | ((std::process::id() % (1 << 16)) << 4);
        Self {
            base,
            port: free_port(),
            source_port: free_port(),
        }
    }

    /// A file with the configuration of a node.
    fn config(&self, host: u32) -> tempfile::NamedTempFile {
        let (address, port, source) = (Ipv4Addr::from_bits(self.base + host), self.port, self.source_port);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = format!(
            "discovery.nic = lo\ndiscovery.address = {address}\ndiscovery.node_name = node{host}\n\
             discovery.udp_sock_port = {source}\ndiscovery.udp_port = {port}\ndiscovery.tcp_port = {port}\n\
             discovery.search.mask = 28\ndiscovery.search.min_udp_port = {port}\ndiscovery.search.max_udp_port = {port}\n"
        );
        file.as_file().write_all(text.as_bytes()).expect("written");
        file
    }
}

/// A port that is free on every address, for both protocols.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("0.0.0.0:0").expect("a free port");
        let port = tcp.local_addr().expect("an address").port();
        if UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// A peer; killed when dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the sidecar sees as many nodes that are up.
fn nodes(status: SocketAddr, wanted: usize) {
    eventually(&format!("{wanted} nodes that are up"), || {
        let mesh = page(status, "/mesh")?;
        let seen = mesh.matches("\"health\":\"UP\"").count();
        if seen == wanted {
            Ok(())
        } else {
            Err(format!("{seen} in {mesh}"))
        }
    });
}

#[test]
fn a_sidecar_works_and_stops_while_nobody_reads_its_log() {
    let subnet = Subnet::new();
    let config = subnet.config(1);
    let config = config.path().display().to_string();
    // Ends with the sidecar, should that be killed.
    let script = "trap 'exit 7' TERM; while [ -e /proc/$PPID ]; do sleep 0.01; done";
    let flags = [
        "--status",
        "127.0.0.1:0",
        "--http-controller",
        "127.0.0.1:0",
        "--discovery-config",
        &config,
    ];
    let program = ["--", "sh", "-c", script];
    let mut own = Sidecar::start(sidecar(&[flags.as_slice(), &program].concat()));
    let http = own.logged("--http-controller").expect("its address");
    let status = own.logged("--status").expect("its address");
    own.logged(": ready");
    own.stall();

    let mut peers = Vec::new();
    for host in 2..2 + PEERS {
        let config = subnet.config(host);
        let mut command = sidecar(&["--discovery-config", &config.path().display().to_string()]);
        let child = command.stderr(Stdio::null()).spawn().expect("a peer starts");
        peers.push((Peer(child), config));
    }
    let count = usize::try_from(PEERS).expect("a small number");
    nodes(status, 1 + count);
    // One in four freezes, one in four dies; the others leave.
    for (number, (peer, _)) in peers.iter().enumerate() {
        let signal = ["-STOP", "-KILL", "-TERM", "-TERM"][number % 4];
        kill(signal, &peer.0.id().to_string());
    }
    nodes(status, 1);

    for path in ["/healthz", "/readyz", "/metrics"] {
        page(status, path).expect("an answer");
    }
    let backend = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = backend.local_addr().expect("an address");
    for (path, body) in [
        (
            "server-group",
            r#"{"name":"g","timeout":1000,"period":100,"up":1,"down":2}"#.to_owned(),
        ),
        (
            "server-group/g/server",
            format!(r#"{{"name":"s","address":"{address}"}}"#),
        ),
    ] {
        let answer = request(http, "POST", &format!("/api/v1/module/{path}"), &body).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    let up = |wanted: u64| {
        eventually(&format!("the server's state {wanted}"), || {
            let up = metric(status, r#"sidecar_server_up{group="g",server="s"}"#)?;
            if up == wanted { Ok(()) } else { Err(up.to_string()) }
        });
    };
    up(1);
    drop(backend);
    up(0);

    own.terminate();
    assert_eq!(own.ended().code(), Some(7), "the program's code");
}
