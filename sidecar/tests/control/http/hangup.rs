//! A caller that disconnects before its command is done: the command completes all the same. A caller that only shuts
//! down its sending side still gets its answer.

use std::time::{Duration, Instant};

use sidecar::http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::support::Api;

const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_removal_completes_after_its_caller_disconnects() {
    let api = Api::open().await;
    api.run("add server-groups s").await;
    for name in ["a", "b", "c", "d", "e"] {
        let add = format!("add tcp-lb {name} address 127.0.0.1:0 server-groups s");
        api.run(&add).await;
    }
    let listeners = api.controller.listeners();
    let removal = "remove server-groups s cascade".parse().expect("a command");
    // Polled once, then dropped at its first await.
    tokio::select! {
        biased;
        outcome = api.controller.execute(removal) => assert!(outcome.is_ok()),
        () = std::future::ready(()) => {}
    }
    assert!(api.controller.listeners().is_empty());
    let deadline = Instant::now() + WAIT_TIMEOUT;
    for listener in listeners {
        while TcpStream::connect(listener.address).await.is_ok() {
            assert!(Instant::now() < deadline, "{} accepts", listener.address);
            tokio::task::yield_now().await;
        }
    }
}

/// Shuts down its sending side and waits for the answer, as `nc -N` does.
#[tokio::test]
async fn a_half_closed_connection_gets_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let page = async |request| {
        let body = http::body(request, 100).await.expect("a body");
        // Stands for a command that waits for a disk, or for a listener to close.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        http::answer(hyper::StatusCode::OK, "text/plain", body)
    };
    tokio::spawn(http::serve(listener, page, CancellationToken::new()));
    for length in [0, 1, 100] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let body = "x".repeat(length);
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream.shutdown().await.expect("ended");
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        tokio::time::timeout(WAIT_TIMEOUT, reading)
            .await
            .expect("the end in time")
            .expect("an end in order");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(&format!("\r\n\r\n{body}")),
            "{length}: {answer:?}"
        );
    }
}
