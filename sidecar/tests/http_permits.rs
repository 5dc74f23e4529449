//! Silent and slow clients do not keep others from being served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sidecar::http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

async fn ask(address: SocketAddr) -> String {
    ask_over(TcpStream::connect(address).await.expect("it listens")).await
}

async fn ask_over(mut stream: TcpStream) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn silent_and_slow_clients_are_evicted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let page = async |request| match http::body(request, 100).await {
        Ok(_) => http::text(hyper::StatusCode::OK, "here"),
        Err(error) => http::text(hyper::StatusCode::BAD_REQUEST, error.to_string()),
    };
    let served = tokio::spawn(http::serve(listener, page, stop.clone()));
    let mut others = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        if n % 2 == 0 {
            stream
                .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
                .await
                .expect("sent");
        }
        others.push(stream);
    }
    // Their own timeouts are much longer.
    let answer = tokio::time::timeout(Duration::from_secs(5), ask(address)).await;
    assert!(
        answer
            .expect("an answer despite the other connections")
            .starts_with("HTTP/1.1 200 OK")
    );
    stop.cancel();
    served.await.expect("it ends");
}

#[tokio::test]
async fn one_address_does_not_evict_the_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let page = async |_| http::text(hyper::StatusCode::OK, "here");
    let stop = CancellationToken::new();
    let served = tokio::spawn(http::serve(listener, page, stop.clone()));
    let silent = TcpStream::connect(address).await.expect("it listens");
    let mut others = Vec::new();
    for _ in 0..300 {
        let other = TcpSocket::new_v4().expect("a socket");
        let elsewhere = "127.0.0.2:0".parse().expect("an address");
        other.bind(elsewhere).expect("a port");
        others.push(other.connect(address).await.expect("it listens"));
    }
    // The last one is answered after all were accepted.
    let last = others.pop().expect("one of them");
    assert!(ask_over(last).await.starts_with("HTTP/1.1 200 OK"));
    assert!(
        ask_over(silent).await.starts_with("HTTP/1.1 200 OK"),
        "the silent client was evicted"
    );
    stop.cancel();
    served.await.expect("it ends");
}

/// A client with a request in progress is not cut for one that is idle.
#[tokio::test]
async fn idle_connections_are_closed_before_those_with_a_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let go_on = Arc::new(tokio::sync::Notify::new());
    let page = {
        let go_on = Arc::clone(&go_on);
        move |request: hyper::Request<hyper::body::Incoming>| {
            let go_on = Arc::clone(&go_on);
            async move {
                if request.uri().path() == "/slow" {
                    go_on.notified().await;
                }
                http::text(hyper::StatusCode::OK, "here")
            }
        }
    };
    let stop = CancellationToken::new();
    let served = tokio::spawn(http::serve(listener, page, stop.clone()));
    let mut slow = TcpStream::connect(address).await.expect("it listens");
    let request = b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    slow.write_all(request).await.expect("sent");
    // More than one address may have; each is more recent than the slow one.
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(address).await.expect("it listens"));
    }
    assert!(
        ask(address).await.starts_with("HTTP/1.1 200 OK"),
        "all were accepted"
    );
    go_on.notify_one();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), slow.read_to_string(&mut answer)).await;
    read.expect("in time").expect("an answer, not a reset");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let mut byte = [0];
    let first = tokio::time::timeout(Duration::from_secs(20), idle[0].read(&mut byte)).await;
    assert!(
        matches!(first.expect("in time"), Ok(0) | Err(_)),
        "an idle one is closed"
    );
    stop.cancel();
    served.await.expect("it ends");
}
