//! The headers that HTTP requires of each answer (RFC 9110, section 15), and connections that are kept.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderValue;
use hyper::{Request, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::clients::{Sidecar, WAIT_TIMEOUT, answer};
use super::support::Api;

const GROUPS: &str = "/api/v1/module/server-groups";

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let sidecar = Sidecar::start();
    for coding in [None, Some("chunked")] {
        let mut request = Request::post(sidecar.url("/module/server-groups"));
        if let Some(coding) = coding {
            request = request.header("transfer-encoding", coding);
        }
        let request = request.body(Full::<Bytes>::from(vec![b' '; 8 * 1024 * 1024]));
        let stream = TcpStream::connect(sidecar.address()).await.expect("it listens");
        let answer = answer(stream, request.expect("a request"))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 413, "{coding:?}");
        assert_eq!(answer.headers()["connection"], "close");
        assert!(!answer.headers().contains_key("keep-alive"), "{answer:?}");
    }
    assert_eq!(sidecar.read("/module/server-groups").await, serde_json::json!([]));
}

/// It never sends the body: `100 Continue` does not come.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let sidecar = Sidecar::start();
    let mut stream = TcpStream::connect(sidecar.address()).await.expect("it listens");
    let head = format!(
        "POST {GROUPS} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        8 * 1024 * 1024
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 13];
    let read = tokio::time::timeout(WAIT_TIMEOUT, stream.read_exact(&mut answer)).await;
    read.expect("in time").expect("an answer");
    assert_eq!(answer, *b"HTTP/1.1 413 ");
}

/// Closing with unread bytes would reset the connection before the client reads the answer.
#[tokio::test]
async fn an_answer_reaches_a_client_that_reads_it_after_a_body_that_nobody_reads() {
    let sidecar = Sidecar::start();
    let mut stream = TcpStream::connect(sidecar.address()).await.expect("it listens");
    let body = vec![b'x'; 4 * 1024 * 1024];
    let head = format!(
        "POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&body).await.expect("the body is read");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(WAIT_TIMEOUT, stream.read_to_end(&mut answer)).await;
    read.expect("in time").expect("an answer, not a reset");
    assert!(
        answer.starts_with(b"HTTP/1.1 404 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn an_answer_says_how_long_an_idle_connection_is_kept() {
    let api = Api::open().await;
    let close = [("connection", "close")];
    for (version, headers, kept) in [
        (Version::HTTP_11, &[][..], true),
        (Version::HTTP_10, &[("connection", "Keep-Alive")], true),
        (Version::HTTP_11, &close, false),
        (Version::HTTP_10, &[], false),
    ] {
        let answer = api.send_as(version, "GET", GROUPS, headers, "").await;
        let header = |name| answer.headers().get(name).map(HeaderValue::as_bytes);
        let (connection, timeout) = (header("connection"), header("keep-alive"));
        assert_eq!(
            timeout,
            kept.then_some(&b"timeout=10"[..]),
            "{version:?} {headers:?}"
        );
        assert_eq!(connection == Some(b"keep-alive"), kept, "{version:?} {headers:?}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_with_what_is_accepted() {
    let api = Api::open().await;
    let body = r#"{"name":"x"}"#;
    for coding in ["gzip", "br", "deflate, gzip"] {
        let answer = api
            .send("POST", GROUPS, &[("content-encoding", coding)], body)
            .await;
        assert_eq!(answer.status(), 415, "{coding}");
        assert_eq!(answer.headers()["accept-encoding"], "identity");
        assert!(answer.body().contains("Content-Encoding"), "{}", answer.body());
    }
    let plain = [("content-encoding", "identity")];
    assert_eq!(api.send("POST", GROUPS, &plain, body).await.status(), 204);
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let api = Api::open().await;
    for path in [GROUPS, "/api/v1/openapi.json"] {
        let get = api.send("GET", path, &[], "").await;
        let head = api.send("HEAD", path, &[], "").await;
        assert_eq!(
            (head.status().as_u16(), head.body().as_str()),
            (200, ""),
            "{path}"
        );
        assert_eq!(head.headers()["content-length"], get.body().len().to_string());
    }
    assert_eq!(api.ask("HEAD", "/nope", "").await.0, 404);
}

/// JSON has one kind of number, and some clients write all with a fraction.
#[tokio::test]
async fn a_number_may_have_a_fraction_of_zero() {
    let api = Api::open().await;
    let group = "/api/v1/module/server-group";
    let add = r#"{"name":"g","timeout":500.0,"period":1e3,"up":2.0e0,"down":30E-1}"#;
    assert_eq!(api.ask("POST", group, add).await, (204, String::new()));
    let read = api.read(&format!("{group}/g")).await;
    assert_eq!(
        [&read["timeout"], &read["period"], &read["up"], &read["down"]].map(|n| n.to_string()),
        ["500", "1000", "2", "3"]
    );
    let update = r#"{"timeout":250.0}"#;
    assert_eq!(api.ask("PUT", &format!("{group}/g"), update).await.0, 204);
    for (timeout, found) in [
        ("500.5", "500.5"),
        ("-1.0", "-1"),
        ("1e300", "1e+300"),
        ("0.0", "0"),
    ] {
        let body = format!(r#"{{"timeout":{timeout}}}"#);
        let (status, answer) = api.ask("PUT", &format!("{group}/g"), &body).await;
        assert_eq!(status, 400, "{timeout}: {answer}");
        assert!(
            answer.contains(&format!("timeout {found} is not valid")),
            "{answer}"
        );
    }
}
