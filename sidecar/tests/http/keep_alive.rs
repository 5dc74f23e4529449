//! Requests of one connection are balanced one by one, over connections that are used again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{
    ask, client, connect, eventually, exchange, get, lb, named, raw, read_head, send, set_servers, text,
    within,
};

/// An instance that counts its connections, and answers each request with its name.
async fn counting(name: &'static str, keeps: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let address = raw(move |mut stream: TcpStream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            loop {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let close = if keeps { "" } else { "Connection: close\r\n" };
                let length = name.len();
                let answer = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {length}\r\n\r\n{name}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                if !keeps {
                    return;
                }
            }
        }
    })
    .await;
    (address, count)
}

#[tokio::test]
async fn requests_of_one_connection_take_exact_turns() {
    let (lb, _) = lb(&[named("one").await, named("two").await]);
    let mut client = client(&lb).await;
    let mut names = Vec::new();
    for _ in 0..10 {
        names.push(ask(&mut client, "/").await);
    }
    assert_eq!(names, ["one", "two"].repeat(5));
    assert_eq!(lb.listener().totals().connections, 1);
}

#[tokio::test]
async fn requests_follow_the_weights() {
    let (one, two) = (named("one").await, named("two").await);
    let (lb, group) = lb(&[]);
    set_servers(&group, &[(one, 3), (two, 1)]);
    let mut client = client(&lb).await;
    let mut count = 0;
    for _ in 0..40 {
        count += usize::from(ask(&mut client, "/").await == "one");
    }
    assert_eq!(count, 30);
}

#[tokio::test]
async fn a_new_instance_gets_its_share_of_open_connections() {
    let (one, two) = (named("one").await, named("two").await);
    let (lb, group) = lb(&[one]);
    let mut client = client(&lb).await;
    assert_eq!(ask(&mut client, "/").await, "one");
    set_servers(&group, &[(one, 10), (two, 10)]);
    let names = [ask(&mut client, "/").await, ask(&mut client, "/").await];
    assert!(names.contains(&"two".to_owned()), "{names:?}");
    set_servers(&group, &[(two, 10)]);
    for _ in 0..4 {
        assert_eq!(ask(&mut client, "/").await, "two");
    }
}

#[tokio::test]
async fn connections_to_instances_are_used_again() {
    let (address, connections) = counting("one", true).await;
    let (lb, group) = lb(&[address]);
    for _ in 0..3 {
        let mut client = client(&lb).await;
        for _ in 0..10 {
            assert_eq!(ask(&mut client, "/").await, "one");
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert_eq!(group.counters().totals().connections, 1);
    assert_eq!(group.counters().active(), 0);
}

#[tokio::test]
async fn an_instance_that_closes_after_each_answer_fails_no_request() {
    let (address, connections) = counting("one", false).await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    for _ in 0..10 {
        assert_eq!(ask(&mut client, "/").await, "one");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn a_request_counts_as_active_until_its_answer_ends() {
    let address = raw(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            .await
            .unwrap();
        // Until the client has seen that.
        stream.read_u8().await.unwrap_err();
    })
    .await;
    let (lb, group) = lb(&[address]);
    let mut client = client(&lb).await;
    let answer = send(&mut client, get("/")).await;
    assert_eq!(group.counters().active(), 1);
    drop((answer, client));
    eventually(|| (group.counters().active() > 0).then(|| "the request is still active".to_owned())).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let (lb, _) = lb(&[named("one").await, named("two").await]);
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = exchange(&lb, format!("{}{last}", request.repeat(5)).as_bytes()).await;
    let bodies: Vec<_> = answers
        .split("HTTP/1.1 200 OK\r\n")
        .skip(1)
        .map(|answer| &answer[answer.len() - 3..])
        .collect();
    assert_eq!(bodies, ["one", "two"].repeat(3), "{answers}");
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served() {
    let address = super::support::instance(|request| async move {
        let host = request
            .headers()
            .get("host")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        hyper::Response::new(super::support::body(host))
    })
    .await;
    let (lb, _) = lb(&[address]);
    let answer = exchange(&lb, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(&address.to_string()), "{answer}");
    let twice =
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\nHost: b\r\n\r\n";
    let answer = exchange(&lb, twice).await;
    assert!(answer.contains("connection: keep-alive"), "{answer}");
    assert_eq!(answer.matches("200 OK").count(), 2, "{answer}");
}

#[tokio::test]
async fn an_idle_client_is_served_again() {
    let (lb, _) = lb(&[named("one").await]);
    let mut client = client(&lb).await;
    assert_eq!(ask(&mut client, "/").await, "one");
    // Longer than a connection waits before it is parked.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(ask(&mut client, "/").await, "one");
    assert_eq!(lb.listener().active(), 1);
}

#[tokio::test]
async fn an_idle_client_is_ended_after_the_idle_timeout() {
    let (lb, _) = lb(&[named("one").await]);
    lb.listener()
        .set_idle_timeout(std::time::Duration::from_millis(50));
    let mut silent = connect(&lb).await;
    assert_eq!(within("end", silent.read(&mut [0])).await.unwrap(), 0);
    let mut stream = connect(&lb).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    read_head(&mut stream).await;
    let mut rest = Vec::new();
    within("end", stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"one");
}

#[tokio::test]
async fn without_an_instance_the_sidecar_answers_and_says_why() {
    let (lb, _) = lb(&[]);
    let mut client = client(&lb).await;
    for _ in 0..2 {
        let answer = send(&mut client, get("/")).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["x-sidecar-error"], "no-instance");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let expected = "{\"error\":\"no instance is up\",\"cause\":\"no-instance\"}\n";
        assert_eq!(text(answer).await, expected);
    }
}
