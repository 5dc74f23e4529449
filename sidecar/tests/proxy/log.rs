//! What is logged of a connection: one line at its end, and never a complaint about a peer.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use sidecar::balance::ServerGroups;
use sidecar::proxy::Limits;
use tokio::net::TcpStream;
use tracing_subscriber::fmt::MakeWriter;

use super::support::{backends, eventually, expect_reset, instance, lb, open, reset};

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
        self.0.lock().unwrap().write(bytes)
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

/// Captures what this thread logs, and so what a test on one thread does.
fn capture() -> (Captured, tracing::subscriber::DefaultGuard) {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    (captured, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_connection_leaves_one_line_with_what_matters() {
    let (captured, _guard) = capture();
    let address = instance("a").await;
    let (groups, _) = backends("g", &[(address, 10)]);
    let lb = lb(groups, Limits::default());
    let (stream, _) = open(&lb).await;
    let peer = stream.local_addr().unwrap();
    assert!(captured.lines().is_empty(), "{:?}", captured.lines());
    reset(stream);
    let line = captured.line().await;
    for part in [
        "DEBUG",
        &format!("peer={peer}"),
        "destination=backends",
        &format!("instance={address}"),
        "server=\"s0\"",
        "to_instance=0",
        "to_client=2",
        "duration_ms=",
        "reason=reset by client",
    ] {
        assert!(line.contains(part), "no {part} in: {line}");
    }
}

#[tokio::test]
async fn so_does_one_that_gets_nowhere() {
    let (captured, _guard) = capture();
    let lb = lb(ServerGroups::new("empty"), Limits::default());
    let mut stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    expect_reset(&mut stream).await;
    let line = captured.line().await;
    for part in ["DEBUG", "destination=empty", "reason=no instance is up"] {
        assert!(line.contains(part), "no {part} in: {line}");
    }
}
