//! What instances answer: one message for one request (RFC 9112, section 6.3), or the client gets an error.

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{client, get, lb, raw, read_head, request, send, text};

/// An instance that answers the first request of each connection with these bytes, and the next one with "second".
async fn answering(bytes: &'static str) -> std::net::SocketAddr {
    raw(move |mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut next = [0; 1024];
        if stream.read(&mut next).await.is_ok_and(|count| count > 0) {
            let second = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";
            // The sidecar may have ended it.
            let _ = stream.write_all(second).await;
        }
    })
    .await
}

#[tokio::test]
async fn what_is_no_message_is_a_bad_gateway() {
    for bytes in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 2OO OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ] {
        let (lb, _) = lb(&[answering(bytes).await]);
        let mut client = client(&lb).await;
        let answer = send(&mut client, request("POST", "/", "x")).await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{bytes:?}");
        assert_eq!(answer.headers()["x-sidecar-error"], "bad-answer", "{bytes:?}");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_a_bad_gateway() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "a".repeat(256 * 1024));
    let (lb, _) = lb(&[answering(long.leak()).await]);
    let mut client = client(&lb).await;
    let answer = send(&mut client, request("POST", "/", "x")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn what_follows_an_answer_is_none_to_the_next_request() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nfirst\r\n0\r\n\r\nextra",
    ] {
        let (lb, _) = lb(&[answering(bytes).await]);
        let mut client = client(&lb).await;
        text(send(&mut client, get("/")).await).await;
        // Of a new connection, whose first answer it is.
        let answer = text(send(&mut client, get("/")).await).await;
        assert!(
            ["first", ""].contains(&answer.as_str()),
            "{bytes:?} led to {answer:?}"
        );
    }
}

#[tokio::test]
async fn answers_before_the_final_one_are_left_out() {
    let bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal";
    let (lb, _) = lb(&[answering(bytes).await]);
    let mut client = client(&lb).await;
    assert_eq!(text(send(&mut client, get("/")).await).await, "final");
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_connection() {
    let address = raw(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.0 200 OK\r\n\r\nto the end")
            .await
            .unwrap();
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    for _ in 0..2 {
        assert_eq!(text(send(&mut client, get("/")).await).await, "to the end");
    }
}
