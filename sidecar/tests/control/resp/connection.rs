//! The RESP controller over a socket: valid and invalid requests, authentication.

use std::time::Duration;

use super::answers::Value;
use super::client::{Server, WAIT_TIMEOUT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

fn texts(value: &Value) -> Vec<String> {
    let Value::Array(items) = value else {
        panic!("not an array: {value:?}");
    };
    let text = |item: &Value| match item {
        Value::Bulk(bytes) => String::from_utf8(bytes.clone()).expect("UTF-8"),
        other => panic!("not a text: {other:?}"),
    };
    items.iter().map(text).collect()
}

#[tokio::test]
async fn each_command_is_answered_with_its_type() {
    let server = Server::without_password().await;
    let mut client = server.client().await;
    assert_eq!(client.ask("add server-groups sgs0").await, ok());
    assert_eq!(
        client.ask("a sg g timeout 500 period 1000 up 2 down 3").await,
        ok()
    );
    assert_eq!(client.ask("add server-group g to server-groups sgs0").await, ok());
    assert_eq!(
        client
            .ask("add tcp-lb lb0 address 127.0.0.1:0 server-groups sgs0")
            .await,
        ok()
    );
    assert_eq!(texts(&client.ask("list server-groups").await), ["sgs0"]);
    assert_eq!(
        texts(&client.ask("L sg").await),
        ["g -> timeout 500 period 1000 up 2 down 3 method wrr"]
    );
    assert_eq!(client.ask("list session in tcp-lb lb0").await, Value::Integer(0));
    assert_eq!(
        client.ask("L session in tcp-lb lb0").await,
        Value::Array(Vec::new())
    );
    assert_eq!(client.ask("list bytes-in in tcp-lb lb0").await, Value::Integer(0));
    for (line, expected) in [
        ("add server-groups sgs0", "the resource already exists"),
        ("remove tcp-lb nope", "the resource could not be found"),
        (
            "remove server-groups sgs0",
            "server-groups sgs0 is used by tcp-lb lb0",
        ),
    ] {
        assert_eq!(client.error(line).await, expected, "{line}");
    }
    let unknown = client.error("foo bar").await;
    assert!(unknown.starts_with("foo is not a valid action"), "{unknown}");
    assert_eq!(client.ask("add event-loop-group x").await, ok());
    assert_eq!(
        client.ask("list bind-server in tcp-lb lb0").await,
        Value::Integer(1)
    );
    assert_eq!(texts(&client.ask("L bs in tl lb0").await).len(), 1);
    assert_eq!(client.ask("R tl lb0").await, ok());
    assert_eq!(client.ask("remove server-groups sgs0").await, ok());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_however_they_are_split() {
    let server = Server::without_password().await;
    let mut client = server.client().await;
    let mut stream = Vec::new();
    for n in 0..500 {
        stream.extend(format!("*2\r\n$4\r\nECHO\r\n$3\r\n{n:03}\r\n").bytes());
        stream.extend(format!("echo '{n:03}'\r\n\r\n").bytes());
    }
    for piece in stream.chunks(997) {
        client.send(piece).await;
    }
    for n in 0..1000 {
        let expected = format!("{:03}", n / 2).into_bytes();
        assert_eq!(client.next().await, Some(Value::Bulk(expected)), "answer {n}");
    }
    client
        .send("PING\r\nQUIT\r\nadd server-groups too-late\r\n")
        .await;
    assert_eq!(client.next().await, Some(Value::Simple("PONG".to_owned())));
    assert_eq!(client.next().await, Some(ok()));
    assert_eq!(client.next().await, None);
    let mut another = server.client().await;
    assert!(texts(&another.ask("list server-groups").await).is_empty());
}

#[tokio::test]
async fn a_protocol_error_is_reported_and_closes_the_connection() {
    let server = Server::without_password().await;
    for (bytes, expected) in [
        ("*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"),
        ("*1000000000\r\n", "invalid multibulk length"),
        ("*1\r\n$1000000000\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        ("echo \"x\r\n", "unbalanced quotes"),
    ] {
        let mut client = server.client().await;
        client.send(format!("PING\r\n{bytes}PING\r\n")).await;
        assert_eq!(client.next().await, Some(Value::Simple("PONG".to_owned())));
        match client.next().await {
            Some(Value::Error(text)) => {
                assert!(text.starts_with("ERR Protocol error: "), "{text}");
                assert!(text.contains(expected), "{text}");
            }
            other => panic!("{bytes:?}: {other:?}"),
        }
        assert_eq!(client.next().await, None, "{bytes:?}");
    }
    // Deep nesting, and a request without an end.
    for bytes in ["*1\r\n".repeat(100_000), "x".repeat(1 << 20)] {
        let mut client = server.client().await;
        let _ = client.stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(WAIT_TIMEOUT, client.stream.read_to_end(&mut answer))
            .await
            .expect("the connection ends");
        assert!(!answer.starts_with(b"+"), "{answer:?}");
    }
    assert_eq!(
        server.client().await.ask("PING").await,
        Value::Simple("PONG".to_owned())
    );
}

#[tokio::test]
async fn a_web_page_cannot_send_commands() {
    let server = Server::without_password().await;
    for head in ["POST / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\n"] {
        let mut client = server.client().await;
        client.send(format!("{head}\r\nadd server-groups evil\r\n")).await;
        while client.next().await.is_some() {}
    }
    let groups = server.client().await.ask("list server-groups").await;
    assert!(texts(&groups).is_empty(), "{groups:?}");
}

#[tokio::test]
async fn the_password_is_required_and_wrong_ones_are_delayed() {
    let server = Server::with_password().await;
    let mut client = server.client().await;
    assert_eq!(client.error("PING").await, "NOAUTH Authentication required.");
    assert_eq!(
        client.error("list tcp-lb").await,
        "NOAUTH Authentication required."
    );
    let begun = Instant::now();
    for wrong in ["AUTH nope", "AUTH default nope", "HELLO 3 AUTH default nope"] {
        let text = client.error(wrong).await;
        assert!(text.starts_with("WRONGPASS "), "{text}");
        assert!(!text.contains("nope") && !text.contains("secret"), "{text}");
    }
    // The delays themselves are under test; they are at least 250, 500 and 1000 ms.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1700), "{took:?}");
    assert_eq!(client.ask("AUTH secret").await, ok());
    assert_eq!(client.ask("list tcp-lb").await, Value::Array(Vec::new()));
    let mut third = server.client().await;
    let Value::Map(about) = third.ask("HELLO 3 AUTH default secret").await else {
        panic!("a map");
    };
    assert!(about.contains(&Value::Bulk(b"proto".to_vec())));
    assert_eq!(third.ask("CLIENT GETNAME").await, Value::Null);
}

#[tokio::test]
async fn guessing_does_not_delay_authenticated_clients() {
    let server = Server::with_password().await;
    let mut known = server.client().await;
    assert_eq!(known.ask("AUTH secret").await, ok());
    let mut guessers = Vec::new();
    for _ in 0..40 {
        let mut guesser = server.client().await;
        guesser.send("AUTH nope\r\n".repeat(5)).await;
        guessers.push(guesser);
    }
    for _ in 0..50 {
        assert_eq!(known.ask("PING").await, Value::Simple("PONG".to_owned()));
    }
}
