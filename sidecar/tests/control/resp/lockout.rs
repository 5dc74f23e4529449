//! Clients without the password do not keep out those that have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sidecar::control::resp::Limits;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::answers::Value;
use super::client::{Client, Server, WAIT_TIMEOUT};

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

fn few() -> Limits {
    Limits {
        connections: 4,
        ..Limits::default()
    }
}

async fn has_ended(client: &mut Client) -> bool {
    let mut rest = Vec::new();
    let ended = timeout(WAIT_TIMEOUT, client.stream.read_to_end(&mut rest)).await;
    // An end in order or by a reset.
    ended.is_ok() && rest.is_empty()
}

#[tokio::test]
async fn the_oldest_silent_connection_makes_room() {
    let server = Server::open(Some("secret"), few()).await;
    let mut known = server.client().await;
    assert_eq!(known.ask("AUTH secret").await, ok());
    let mut oldest = server.client().await;
    // Requests without authentication do not count.
    assert!(oldest.error("PING").await.starts_with("NOAUTH"));
    let mut others = [server.client().await, server.client().await];
    for other in &mut others {
        assert!(other.error("PING").await.starts_with("NOAUTH"));
    }
    let mut newcomer = server.client().await;
    assert_eq!(newcomer.ask("AUTH secret").await, ok());
    assert!(has_ended(&mut oldest).await, "the oldest silent one stays");
    for client in others.iter_mut().chain([&mut known]) {
        assert_eq!(client.ask("AUTH secret").await, ok(), "only one makes room");
    }
    let refused = server.client().await.next().await;
    let expected = "ERR max number of clients reached".to_owned();
    assert_eq!(refused, Some(Value::Error(expected)), "all have authenticated");
}

#[tokio::test]
async fn a_connection_without_a_request_makes_room_where_no_password_is_needed() {
    let server = Server::open(None, few()).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(server.client().await);
    }
    let mut newcomer = server.client().await;
    assert_eq!(newcomer.ask("PING").await, Value::Simple("PONG".to_owned()));
    assert!(has_ended(&mut silent[0]).await, "the oldest silent one stays");
}

/// As many guessers as there are connections, each of which opens another connection after each guess.
#[tokio::test]
async fn the_right_password_gets_in_among_guessers() {
    let server = Arc::new(Server::open(Some("secret"), Limits::default()).await);
    let done = Arc::new(AtomicBool::new(false));
    let mut guessers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (server, done) = (Arc::clone(&server), Arc::clone(&done));
        guessers.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let mut guesser = server.client().await;
                let sent = tokio::io::AsyncWriteExt::write_all(&mut guesser.stream, b"AUTH nope\r\n");
                if sent.await.is_ok() {
                    let mut answer = [0; 1];
                    let _ = guesser.stream.read(&mut answer).await;
                }
            }
        });
    }
    for _ in 0..3 {
        let mut client = server.client().await;
        assert_eq!(client.ask("AUTH secret").await, ok(), "the right password");
    }
    done.store(true, Ordering::Relaxed);
    guessers.abort_all();
}
