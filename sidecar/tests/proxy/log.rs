//! A connection's log: one line at its end, and nothing above debug.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sidecar::balance::ServerGroups;
use sidecar::proxy::Limits;
use sidecar::proxy::access::{Policy, SecurityGroup, Verdict};
use sidecar::proxy::listener::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::socks5::{self, NAME, domain, greet, reply, request};
use super::support::{backends, eventually, expect_reset, instance, lb, open, read_line, reset, within};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        text.lines()
            .filter(|l| l.contains("sidecar::proxy"))
            .map(str::to_owned)
            .collect()
    }

    async fn line(&self) -> String {
        eventually(|| self.lines().is_empty().then(|| "no line".to_owned())).await;
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Captures the log of this thread, and thus of a test on one thread.
fn capture(most: Level) -> (Captured, tracing::subscriber::DefaultGuard) {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(most)
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    (captured, tracing::subscriber::set_default(subscriber))
}

fn expect_parts(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "no {part} in: {line}");
    }
}

/// The connection's span, as logged before the message.
fn span(peer: SocketAddr, listener: &Listener) -> String {
    format!("connection{{peer={peer} listener={}}}", listener.local_addr())
}

#[tokio::test]
async fn a_relayed_connection_leaves_one_line() {
    let (captured, _guard) = capture(Level::TRACE);
    let address = instance("a").await;
    let (groups, _) = backends("g", &[(address, 10)]);
    let lb = lb(groups, Limits::default());
    let (stream, _) = open(&lb).await;
    let peer = stream.local_addr().unwrap();
    assert!(captured.lines().is_empty(), "{:?}", captured.lines());
    reset(stream);
    let parts = [
        "DEBUG",
        &span(peer, lb.listener()),
        &format!("peer={peer}"),
        "destination=backends",
        &format!("instance={address}"),
        "server=\"s0\"",
        "to_instance=0",
        "to_client=2",
        "duration_ms=",
        "reason=reset by client",
    ];
    expect_parts(&captured.line().await, &parts);
}

#[tokio::test]
async fn a_refused_connection_leaves_one_line() {
    let (captured, _guard) = capture(Level::TRACE);
    let lb = lb(ServerGroups::new("empty"), Limits::default());
    let mut stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let peer = stream.local_addr().unwrap();
    expect_reset(&mut stream).await;
    let parts = [
        "DEBUG",
        &span(peer, lb.listener()),
        &format!("peer={peer}"),
        "destination=empty",
        "duration_ms=",
        "reason=no instance is up",
    ];
    expect_parts(&captured.line().await, &parts);
}

#[tokio::test]
async fn a_denied_connection_leaves_one_line() {
    let (captured, _guard) = capture(Level::TRACE);
    let lb = lb(ServerGroups::new("empty"), Limits::default());
    let (default, rules) = (Verdict::Deny, Vec::new());
    lb.listener()
        .set_security_group(Some(SecurityGroup::new(Policy { default, rules })));
    let mut stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let peer = stream.local_addr().unwrap();
    expect_reset(&mut stream).await;
    let parts = [
        "DEBUG",
        &span(peer, lb.listener()),
        &format!("peer={peer}"),
        "denied by the security group",
    ];
    expect_parts(&captured.line().await, &parts);
}

#[tokio::test]
async fn a_socks5_connection_names_what_was_asked_for() {
    let (captured, _guard) = capture(Level::TRACE);
    let address = instance("a").await;
    let (groups, _) = backends(NAME, &[(address, 10)]);
    let server = socks5::server(groups, false);
    let mut stream = greet(&server).await;
    let peer = stream.local_addr().unwrap();
    stream
        .write_all(&request(domain("A.my.service.com", 80)))
        .await
        .unwrap();
    assert_eq!(reply(&mut stream).await.0, 0);
    assert_eq!(read_line(&mut stream).await, "a");
    stream.write_all(b"1234").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within("end", stream.read_to_end(&mut rest)).await.unwrap();
    let parts = [
        "DEBUG",
        &span(peer, server.listener()),
        &format!("peer={peer}"),
        "destination=A.my.service.com:80",
        &format!("instance={address}"),
        "to_instance=4",
        "to_client=6",
        "duration_ms=",
        "reason=finished",
    ];
    expect_parts(&captured.line().await, &parts);
}

#[tokio::test]
async fn a_refused_or_malformed_socks5_request_leaves_one_line() {
    let mut binding = request(domain("a.my.service.com", 80));
    binding[1] = 9;
    for (bytes, destination, reason) in [
        (
            request(domain("example.com", 80)),
            "destination=example.com:80",
            "reason=the destination is not a backend",
        ),
        (binding, "destination= ", "reason=command 9 is not supported"),
        (
            Vec::new(),
            "destination= ",
            "reason=the client left during the handshake",
        ),
    ] {
        let (captured, _guard) = capture(Level::TRACE);
        let (groups, _) = backends(NAME, &[]);
        let server = socks5::server(groups, false);
        let mut stream = greet(&server).await;
        let peer = stream.local_addr().unwrap();
        stream.write_all(&bytes).await.unwrap();
        drop(stream);
        let parts = [
            "DEBUG",
            &span(peer, server.listener()),
            &format!("peer={peer}"),
            destination,
            "duration_ms=",
            reason,
        ];
        expect_parts(&captured.line().await, &parts);
    }
}

#[tokio::test]
async fn a_client_of_another_protocol_is_warned_about() {
    for (bytes, why) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "the client speaks HTTP"),
        (b"\x16\x03\x01", "not a SOCKS5 greeting: the version is 22"),
    ] {
        let (captured, _guard) = capture(Level::INFO);
        let (groups, _) = backends(NAME, &[]);
        let server = socks5::server(groups, false);
        let address = server.listener().local_addr();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let client = stream.local_addr().unwrap();
        stream.write_all(bytes).await.unwrap();
        let parts = ["WARN", why, &format!("listener={address} client={client}")];
        expect_parts(&captured.line().await, &parts);
    }
}

#[tokio::test]
async fn connections_leave_no_line_above_debug() {
    let (captured, _guard) = capture(Level::INFO);
    let (groups, _) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    reset(open(&lb).await.0);
    open(&lb).await;
    lb.set_backends(ServerGroups::new("empty"));
    let mut refused = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    expect_reset(&mut refused).await;
    eventually(|| (lb.listener().active() != 0).then(|| "still active".to_owned())).await;
    assert_eq!(captured.lines(), Vec::<String>::new());
}
