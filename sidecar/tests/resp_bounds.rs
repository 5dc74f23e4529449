//! What the RESP door's clients may occupy: whoever is slow, silent or many costs itself alone.

#[path = "resp_common/answers.rs"]
mod answers;
#[path = "resp_common/client.rs"]
mod client;

use std::time::Duration;

use answers::Value;
use client::{Door, PATIENCE};
use sidecar::control::resp::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_itself_alone() {
    let limits = Limits {
        transfer: Duration::from_millis(300),
        ..Limits::default()
    };
    let door = Door::open(None, limits).await;
    let mut greedy = door.client().await;
    let word = "x".repeat(4000);
    let request = format!("*2\r\n$4\r\nECHO\r\n$4000\r\n{word}\r\n").repeat(16);
    let flood = async {
        // The kernel buffers some; then the door stops reading, and closes the connection in the end.
        while greedy.stream.write_all(request.as_bytes()).await.is_ok() {}
    };
    let serve_others = async {
        let mut other = door.client().await;
        for _ in 0..100 {
            assert_eq!(other.ask("PING").await, Value::Simple("PONG".to_owned()));
        }
    };
    let both = async { tokio::join!(flood, serve_others) };
    timeout(PATIENCE, both)
        .await
        .expect("the greedy client is cut off");
}

#[tokio::test]
async fn places_are_bounded_and_free_again_when_a_client_leaves() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let door = Door::open(None, limits).await;
    let (mut first, mut second) = (door.client().await, door.client().await);
    first.ask("PING").await;
    second.ask("PING").await;
    let mut third = door.client().await;
    assert_eq!(
        third.next().await,
        Some(Value::Error("ERR max number of clients reached".to_owned()))
    );
    assert_eq!(third.next().await, None);
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = door.client().await;
        // A client that is turned away may find the connection reset when it writes.
        let asked = client.stream.write_all(b"PING\r\n").await.is_ok();
        let mut answer = [0; 5];
        if asked && client.stream.read_exact(&mut answer).await.is_ok() && answer == *b"+PONG" {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the place of a client that left is not free"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn silent_and_slow_clients_are_let_go() {
    let short = Duration::from_millis(200);
    let limits = Limits {
        idle: short,
        authentication: short,
        transfer: short,
        ..Limits::default()
    };
    for password in [None, Some("secret")] {
        let door = Door::open(password, limits).await;
        let mut silent = door.client().await;
        assert_eq!(silent.next().await, None, "silent");
        let mut slow = door.client().await;
        let drip = async {
            while slow.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, drip).await.expect("a slow client is let go");
    }
    let door = Door::open(Some("secret"), limits).await;
    let mut busy = door.client().await;
    let chatter = async { while let Ok(()) = busy.stream.write_all(b"PING\r\n").await {} };
    timeout(PATIENCE, chatter)
        .await
        .expect("talking is not authenticating");
}

#[tokio::test]
async fn it_stops_in_time_whatever_its_clients_do() {
    let door = Door::with_password().await;
    let _silent = door.client().await;
    let mut guessing = door.client().await;
    guessing.send("AUTH nope\r\n".repeat(50)).await;
    assert!(matches!(guessing.next().await, Some(Value::Error(_))));
    let mut half = door.client().await;
    half.error("PING").await;
    half.send("*2\r\n$4\r\nECHO\r\n$100\r\nx").await;
    door.stop.cancel();
    timeout(PATIENCE, door.serving)
        .await
        .expect("it stops in time")
        .expect("and in order");
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, half.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection outlived the door");
}

/// One who has much to do waits for others, not they for it; nor does anything else that has the same thread.
#[tokio::test]
async fn a_long_pipeline_lets_others_have_their_turn() {
    const COMMANDS: usize = 400;
    let door = Door::without_password().await;
    let (mut long, mut other) = (door.client().await, door.client().await);
    long.ask("PING").await;
    other.ask("PING").await;
    let pipeline: String = (0..COMMANDS)
        .map(|n| format!("add server-groups s{n}\r\n"))
        .collect();
    // Both before the door has its turn.
    assert_eq!(
        long.stream.try_write(pipeline.as_bytes()).expect("there is room"),
        pipeline.len()
    );
    let Value::Array(done) = other.ask("list server-groups").await else {
        panic!("a list was expected");
    };
    assert!(done.len() < COMMANDS, "it waited for all of them");
    for _ in 0..COMMANDS {
        assert_eq!(long.next().await, Some(Value::Simple("OK".to_owned())));
    }
}
