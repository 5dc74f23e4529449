//! Messages that two programs could read differently are refused, or reach the instance in one form only.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{connect, lb, raw, within};

/// Sends bytes, and returns the answers and everything that instances got.
async fn attack(bytes: &str) -> (String, String) {
    let got = Arc::new(std::sync::Mutex::new(Vec::new()));
    let collected = Arc::clone(&got);
    let address = raw(move |mut stream: TcpStream| {
        let collected = Arc::clone(&collected);
        async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                collected.lock().unwrap().extend_from_slice(&buffer[..count]);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                if stream.write_all(answer).await.is_err() {
                    break;
                }
            }
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = connect(&lb).await;
    // It may be refused before its end.
    let _ = client.write_all(bytes.as_bytes()).await;
    let mut answers = Vec::new();
    // A reset ends the answers as well.
    let _ = within("end of the connection", client.read_to_end(&mut answers)).await;
    let got = got.lock().unwrap().clone();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(answers), text(got))
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_reaches_no_instance() {
    for head in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length : 3\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked\r\n , identity\r\n",
        "X-Folded: a\r\n b\r\n",
        "X-Bare: a\rb\r\n",
        "X-Null: a\0b\r\n",
        "No-Colon\r\n",
        "Host: b\r\n",
    ] {
        let (answers, got) = attack(&format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\nabc")).await;
        assert!(
            answers.starts_with("HTTP/1.1 400 "),
            "{head:?} was answered with {answers:?}"
        );
        assert_eq!(got, "", "{head:?} reached the instance");
    }
}

#[tokio::test]
async fn a_request_without_a_host_or_with_half_a_version_is_refused() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let (answers, got) = attack(request).await;
        assert!(
            answers.starts_with("HTTP/1.1 400 "),
            "{request:?} was answered with {answers:?}"
        );
        assert_eq!(got, "", "{request:?} reached the instance");
    }
}

#[tokio::test]
async fn of_two_lengths_the_instance_gets_one_and_the_connection_ends() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
                   0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let (_, got) = attack(request).await;
    assert!(!got.contains("smuggled"), "{got}");
    assert!(!got.to_ascii_lowercase().contains("content-length"), "{got}");
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_refused() {
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n",
        "a".repeat(80 * 1024)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-Many: a\r\n".repeat(200));
    for request in [long, many] {
        let (answers, got) = attack(&request).await;
        let start = &answers[..answers.len().min(40)];
        assert!(answers.starts_with("HTTP/1.1 431 "), "{start:?}");
        assert_eq!(got, "");
    }
}
