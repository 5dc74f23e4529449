//! tungstenite, whose WebSockets begin with an upgrade of HTTP/1.1.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::net::SocketAddr;

use client_tests::{eventually, group, http_proxy, tcp_instance, tcp_lb, within};
use futures_util::{SinkExt, StreamExt};
use sidecar::balance::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// An instance that says its name, and then what it is told.
async fn instance(name: &'static str) -> SocketAddr {
    tcp_instance(move |stream| async move {
        let mut socket = accept_async(stream).await.unwrap();
        socket.send(Message::text(name)).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Message {
    within("message", socket.next()).await.unwrap().unwrap()
}

/// Begins a WebSocket, uses it, and returns the name of its instance.
async fn talk(stream: TcpStream) -> String {
    let shaking = client_async("ws://service.mesh/chat", stream);
    let (mut socket, answer) = within("handshake", shaking).await.unwrap();
    assert_eq!(answer.status(), 101);
    let name = next(&mut socket).await.into_text().unwrap().to_string();
    for message in [Message::text("hello"), Message::binary(vec![7; 300_000])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(next(&mut socket).await, message);
    }
    socket.send(Message::Ping("ping".into())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong("ping".into()));
    socket.close(None).await.unwrap();
    assert!(next(&mut socket).await.is_close());
    assert!(within("end", socket.next()).await.is_none());
    name
}

#[tokio::test]
async fn each_websocket_is_balanced_and_relayed() {
    let (lb, group) = tcp_lb(&[instance("one").await, instance("two").await]);
    let mut names = Vec::new();
    for _ in 0..4 {
        let stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
        names.push(talk(stream).await);
    }
    assert_eq!(names, ["one", "two"].repeat(2));
    eventually(|| match (lb.listener().active(), group.counters().active()) {
        (0, 0) => None,
        open => Some(format!("connections are open: {open:?}")),
    })
    .await;
}

#[tokio::test]
async fn websockets_go_through_the_tunnels_of_a_proxy() {
    let one = instance("one").await;
    for protocol in [Protocol::Tcp, Protocol::Http1, Protocol::Http] {
        let proxy = http_proxy(&[group("chat.mesh:80", protocol, &[one])]);
        let mut stream = TcpStream::connect(proxy.listener().local_addr()).await.unwrap();
        let connect = b"CONNECT chat.mesh:80 HTTP/1.1\r\nHost: chat.mesh:80\r\n\r\n";
        stream.write_all(connect).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("answer", stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{protocol:?}: {head}");
        assert_eq!(talk(stream).await, "one", "{protocol:?}");
    }
}
