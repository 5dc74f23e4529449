//! Limits of the RESP controller's clients: slow, silent or numerous clients do not affect others.

use std::time::Duration;

use super::answers::Value;
use super::client::{Server, WAIT_TIMEOUT};
use sidecar::control::resp::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_delay_others() {
    let limits = Limits {
        transfer: Duration::from_millis(300),
        backlog: 1024 * 1024,
        ..Limits::default()
    };
    let server = Server::open(None, limits).await;
    let mut greedy = server.client().await;
    let word = "x".repeat(4000);
    let request = format!("*2\r\n$4\r\nECHO\r\n$4000\r\n{word}\r\n").repeat(16);
    let flood = async {
        // The kernel buffers some of it. Then the server stops reading, and finally closes the connection.
        while greedy.stream.write_all(request.as_bytes()).await.is_ok() {}
    };
    let serve_others = async {
        let mut other = server.client().await;
        for _ in 0..100 {
            assert_eq!(other.ask("PING").await, Value::Simple("PONG".to_owned()));
        }
    };
    let both = async { tokio::join!(flood, serve_others) };
    timeout(WAIT_TIMEOUT, both)
        .await
        .expect("the greedy client is disconnected");
}

/// Requests of 4 kB, as one pipeline.
fn echoes(count: usize) -> String {
    let word = "x".repeat(4000);
    format!("*2\r\n$4\r\nECHO\r\n$4000\r\n{word}\r\n").repeat(count)
}

#[tokio::test]
async fn a_client_may_send_all_requests_before_it_reads_an_answer() {
    const REQUESTS: usize = 10_000;
    // The server would end the connection if it waited for the answers to be read.
    let limits = Limits {
        transfer: WAIT_TIMEOUT,
        ..Limits::default()
    };
    let server = Server::open(None, limits).await;
    // Twice, since what the first left behind must not count.
    let mut client = server.client().await;
    for _ in 0..2 {
        timeout(WAIT_TIMEOUT, client.send(echoes(REQUESTS)))
            .await
            .expect("the requests are read while no answer is");
        for n in 0..REQUESTS {
            let Some(Value::Bulk(word)) = client.next().await else {
                panic!("no answer to request {n}");
            };
            assert_eq!(word.len(), 4000);
        }
    }
    assert_eq!(client.ask("PING").await, Value::Simple("PONG".to_owned()));
}

#[tokio::test]
async fn a_client_that_sends_too_many_requests_before_it_reads_gets_an_error() {
    const REQUESTS: usize = 10_000;
    let limits = Limits {
        transfer: Duration::from_secs(2),
        backlog: 1024 * 1024,
        ..Limits::default()
    };
    let server = Server::open(None, limits).await;
    let mut client = server.client().await;
    timeout(WAIT_TIMEOUT, client.send(echoes(REQUESTS)))
        .await
        .expect("the requests are read");
    let mut answered = 0;
    let error = loop {
        match client.next().await.expect("an error before the end") {
            Value::Bulk(_) => answered += 1,
            Value::Error(error) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert!(error.contains("answers were not read for 2s"), "{error}");
    assert!(answered < REQUESTS);
    assert_eq!(client.next().await, None, "it ends in order");
}

/// A client that ends its side after its requests, as `nc` does, gets all answers.
#[tokio::test]
async fn requests_are_answered_after_the_client_has_ended_its_side() {
    const REQUESTS: usize = 5_000;
    let server = Server::without_password().await;
    let mut client = server.client().await;
    client.send(echoes(REQUESTS)).await;
    client.stream.shutdown().await.expect("an open connection");
    for n in 0..REQUESTS {
        assert!(client.next().await.is_some(), "no answer to request {n}");
    }
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn connections_are_limited_and_freed_when_a_client_disconnects() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = Server::open(None, limits).await;
    let (mut first, mut second) = (server.client().await, server.client().await);
    first.ask("PING").await;
    second.ask("PING").await;
    let mut third = server.client().await;
    assert_eq!(
        third.next().await,
        Some(Value::Error("ERR max number of clients reached".to_owned()))
    );
    assert_eq!(third.next().await, None);
    drop(first);
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        let mut client = server.client().await;
        // A refused client may find the connection reset when it writes.
        let asked = client.stream.write_all(b"PING\r\n").await.is_ok();
        let mut answer = [0; 5];
        if asked && client.stream.read_exact(&mut answer).await.is_ok() && answer == *b"+PONG" {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the permit of a disconnected client was not released"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn silent_and_slow_clients_are_disconnected() {
    let short = Duration::from_millis(200);
    let limits = Limits {
        idle: short,
        authentication: short,
        transfer: short,
        ..Limits::default()
    };
    for password in [None, Some("secret")] {
        let server = Server::open(password, limits).await;
        let mut silent = server.client().await;
        assert_eq!(silent.next().await, None, "silent");
        let mut slow = server.client().await;
        let drip = async {
            while slow.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(WAIT_TIMEOUT, drip)
            .await
            .expect("a slow client is disconnected");
    }
    let server = Server::open(Some("secret"), limits).await;
    let mut busy = server.client().await;
    let chatter = async { while let Ok(()) = busy.stream.write_all(b"PING\r\n").await {} };
    timeout(WAIT_TIMEOUT, chatter)
        .await
        .expect("other requests do not extend the authentication timeout");
}

#[tokio::test]
async fn the_server_stops_in_time_whatever_its_clients_do() {
    let server = Server::with_password().await;
    let _silent = server.client().await;
    let mut guessing = server.client().await;
    guessing.send("AUTH nope\r\n".repeat(50)).await;
    assert!(matches!(guessing.next().await, Some(Value::Error(_))));
    let mut half = server.client().await;
    half.error("PING").await;
    half.send("*2\r\n$4\r\nECHO\r\n$100\r\nx").await;
    server.stop.cancel();
    timeout(WAIT_TIMEOUT, server.serving)
        .await
        .expect("it stops in time")
        .expect("without a panic");
    let mut rest = Vec::new();
    let ended = timeout(WAIT_TIMEOUT, half.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection outlived the server");
}

/// Commands of a pipeline yield to other tasks on the same thread.
#[tokio::test]
async fn a_long_pipeline_does_not_block_other_clients() {
    const COMMANDS: usize = 400;
    let server = Server::without_password().await;
    let (mut long, mut other) = (server.client().await, server.client().await);
    long.ask("PING").await;
    other.ask("PING").await;
    let pipeline: String = (0..COMMANDS)
        .map(|n| format!("add server-groups s{n}\r\n"))
        .collect();
    // Both are sent before the server runs.
    assert_eq!(
        long.stream
            .try_write(pipeline.as_bytes())
            .expect("the socket buffer has room"),
        pipeline.len()
    );
    let Value::Array(done) = other.ask("list server-groups").await else {
        panic!("a list was expected");
    };
    assert!(done.len() < COMMANDS, "the list waited for the whole pipeline");
    for _ in 0..COMMANDS {
        assert_eq!(long.next().await, Some(Value::Simple("OK".to_owned())));
    }
}
