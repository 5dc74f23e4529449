//! Instances that do not answer: what is sent again, and what the sidecar answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use sidecar::balance::CheckOutcome;
use sidecar::proxy::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{
    ask, client, connect, eventually, get, lb, lb_with, named, prove, raw, read_head, request, send,
    set_servers, within,
};

/// An instance that answers the first request of each connection with its name, and ends the connection at the second one.
async fn stale(name: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let address = raw(move |mut stream: TcpStream| {
        let counted = Arc::clone(&counted);
        async move {
            read_head(&mut stream).await;
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut rest = [0; 1024];
            if stream.read(&mut rest).await.is_ok_and(|count| count > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    (address, requests)
}

#[tokio::test]
async fn an_idempotent_request_that_met_the_end_of_a_connection_is_sent_again() {
    let (address, requests) = stale("one").await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    for _ in 0..2 {
        assert_eq!(ask(&mut client, "/").await, "one");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    let answer = send(&mut client, request("PUT", "/", "a body")).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_an_instance_may_have_acted_on_is_not_doubled() {
    let (address, requests) = stale("one").await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    assert_eq!(ask(&mut client, "/").await, "one");
    let answer = send(&mut client, request("POST", "/", "a body")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()["x-sidecar-error"], "no-answer");
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_request_is_not_lost_to_a_connection_that_the_instance_has_ended() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let address = raw(move |mut stream: TcpStream| {
        let counted = Arc::clone(&counted);
        async move {
            read_head(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await
                .unwrap();
            drop(stream);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    for number in 1..=50 {
        let answer = send(&mut client, request("POST", "/", "a body")).await;
        assert_eq!(answer.status(), StatusCode::OK, "request {number}");
        assert_eq!(super::support::text(answer).await, "ok");
        eventually(|| (ended.load(Ordering::SeqCst) < number).then(|| "the connection is open".to_owned()))
            .await;
    }
    assert_eq!(ended.load(Ordering::SeqCst), 50);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_failure_of_the_instance_and_does_not_reach_it_whole() {
    let (heads, mut head) = tokio::sync::mpsc::channel(1);
    let (bodies, mut body) = tokio::sync::mpsc::channel(1);
    let address = raw(move |mut stream: TcpStream| {
        let (heads, bodies) = (heads.clone(), bodies.clone());
        async move {
            heads.send(read_head(&mut stream).await).await.unwrap();
            let mut body = Vec::new();
            // A reset ends it as well.
            let _ = stream.read_to_end(&mut body).await;
            bodies.send(String::from_utf8(body).unwrap()).await.unwrap();
        }
    })
    .await;
    let (lb, group) = lb(&[address]);
    for method in ["PUT", "POST"] {
        let mut stream = connect(&lb).await;
        let request =
            format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        within("head at the instance", head.recv()).await.unwrap();
        stream.write_all(b"none\r\n").await.unwrap();
        let mut answer = String::new();
        within("end", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("x-sidecar-error: bad-request"), "{answer}");
        let body = within("body at the instance", body.recv()).await.unwrap();
        assert!(!body.contains("0\r\n\r\n"), "{body:?} is whole");
    }
    let requests = group.requests().read();
    let counted: u64 = requests.iter().map(|(_, _, count)| count).sum();
    assert_eq!((counted, requests.retries), (0, 0));
}

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_is_answered() {
    let (lb, _) = lb(&[named("one").await]);
    let mut stream = connect(&lb).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    let mut answer = String::new();
    let reading = tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut answer));
    reading.await.expect("an answer within 60 s").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains("x-sidecar-error: head-timeout\r\n"), "{answer}");
}

#[tokio::test]
async fn a_request_whose_instances_all_end_the_connection_is_sent_twice_at_most() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let address = raw(move |mut stream: TcpStream| {
        let counted = Arc::clone(&counted);
        async move {
            read_head(&mut stream).await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    assert_eq!(
        send(&mut client, get("/")).await.status(),
        StatusCode::BAD_GATEWAY
    );
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_instance_that_refuses_is_avoided() {
    let one = named("one").await;
    let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    closed.bind(&super::support::loopback().into()).unwrap();
    let refusing = closed.local_addr().unwrap().as_socket().unwrap();
    let (lb, _) = lb(&[refusing, one]);
    let mut client = client(&lb).await;
    for _ in 0..4 {
        assert_eq!(ask(&mut client, "/").await, "one");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_bad_gateway() {
    let address = raw(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    let answer = send(&mut client, request("POST", "/", "")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()["x-sidecar-error"], "bad-answer");
}

/// An instance that reads a request and does not answer, and what says that its connection has ended.
async fn unanswering() -> (SocketAddr, tokio::sync::mpsc::Receiver<()>) {
    let (ended, end) = tokio::sync::mpsc::channel(1);
    let address = raw(move |mut stream: TcpStream| {
        let ended = ended.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream.read_u8().await;
            let _ = ended.send(()).await;
        }
    })
    .await;
    (address, end)
}

#[tokio::test]
async fn a_request_that_is_not_answered_in_time_is_ended() {
    let (address, mut end) = unanswering().await;
    let (lb, _) = lb(&[address]);
    lb.listener().set_request_timeout(Duration::from_millis(50));
    let mut client = client(&lb).await;
    let answer = send(&mut client, get("/")).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.headers()["x-sidecar-error"], "request-timeout");
    within("end of the connection to the instance", end.recv())
        .await
        .unwrap();
}

#[tokio::test]
async fn requests_of_an_instance_that_goes_down_are_answered() {
    let address = raw(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        let _ = stream.read_u8().await;
    })
    .await;
    let (lb, group) = lb(&[address]);
    let mut client = client(&lb).await;
    let answering = send(&mut client, request("POST", "/", ""));
    let going_down = async {
        eventually(|| (group.counters().active() == 0).then(|| "no request is active".to_owned())).await;
        for server in group.checked() {
            for _ in 0..2 {
                group.report(&server, CheckOutcome::Failed);
            }
        }
    };
    let (answer, ()) = tokio::join!(answering, going_down);
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()["x-sidecar-error"], "instance-down");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let (address, mut end) = unanswering().await;
    let (lb, group) = lb(&[address]);
    let mut stream = connect(&lb).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    eventually(|| (group.counters().active() == 0).then(|| "no request is active".to_owned())).await;
    drop(stream);
    within("end of the connection to the instance", end.recv())
        .await
        .unwrap();
    eventually(|| (lb.listener().active() > 0).then(|| "the connection is open".to_owned())).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    let address = raw(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        let part = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
        stream.write_all(part).await.unwrap();
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    let answer = send(&mut client, get("/")).await;
    let collected = http_body_util::BodyExt::collect(answer.into_body());
    assert!(within("end of the body", collected).await.is_err());
}

#[tokio::test]
async fn a_request_waits_for_its_first_endpoint() {
    let limits = Limits {
        hold: Duration::from_secs(300),
        ..Limits::default()
    };
    let (lb, group) = lb_with(&[], limits);
    let mut client = client(&lb).await;
    let asking = ask(&mut client, "/");
    let arrives = async {
        let one = named("one").await;
        set_servers(&group, &[(one, 10)]);
        prove(&group);
    };
    let (answer, ()) = tokio::join!(asking, arrives);
    assert_eq!(answer, "one");
}

#[tokio::test]
async fn a_waiting_request_ends_with_its_client() {
    let limits = Limits {
        hold: Duration::from_secs(300),
        ..Limits::default()
    };
    let (lb, _) = lb_with(&[], limits);
    let mut stream = connect(&lb).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    eventually(|| (lb.listener().active() == 0).then(|| "there is no connection".to_owned())).await;
    drop(stream);
    eventually(|| (lb.listener().active() > 0).then(|| "the connection is open".to_owned())).await;
}
