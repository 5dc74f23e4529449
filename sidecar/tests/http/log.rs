//! A request's log: one line at its end, at debug.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::support::{ask, client, eventually, get, lb, named, send, text};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

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

impl Captured {
    /// The lines of requests.
    fn requests(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains("request ended"));
        lines.map(str::to_owned).collect()
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

#[tokio::test]
async fn each_request_leaves_a_line() {
    let (captured, _guard) = capture(Level::DEBUG);
    let one = named("one").await;
    let (lb, group) = lb(&[one]);
    let mut client = client(&lb).await;
    let mut request = get("/path?query");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request
        .headers_mut()
        .insert("traceparent", trace.parse().unwrap());
    text(send(&mut client, request).await).await;
    group.set_learned(Vec::new());
    text(send(&mut client, get("/")).await).await;
    eventually(|| (captured.requests().len() < 2).then(|| format!("{:?}", captured.requests()))).await;
    let lines = captured.requests();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let served = [
        "DEBUG",
        &format!("instance={one}"),
        &format!("server=\"s{one}\""),
        "method=GET target=/path?query",
        &format!("traceparent=\"{trace}\""),
        "status=200 retries=0",
        "reason=\"finished\"",
    ];
    for part in served {
        assert!(lines[0].contains(part), "no {part} in: {}", lines[0]);
    }
    for part in ["status=503", "reason=\"no instance is up\""] {
        assert!(lines[1].contains(part), "no {part} in: {}", lines[1]);
    }
}

#[tokio::test]
async fn without_debug_requests_leave_nothing() {
    let (captured, _guard) = capture(Level::INFO);
    let (lb, _) = lb(&[named("one").await]);
    let mut client = client(&lb).await;
    assert_eq!(ask(&mut client, "/").await, "one");
    drop(client);
    eventually(|| (lb.listener().active() > 0).then(|| "the connection is open".to_owned())).await;
    assert_eq!(captured.requests(), [""; 0]);
}
