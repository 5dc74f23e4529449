//! The headers that HTTP requires of each answer (RFC 9110, section 15), and connections that are kept.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::clients::{Sidecar, WAIT_TIMEOUT, curl};
use super::support::Api;

const GROUPS: &str = "/api/v1/module/server-groups";

/// The status and the headers of an answer, in lower case.
fn head(arguments: &[&str]) -> (u16, String) {
    let output = curl(&[&["-o", "/dev/null", "-D", "-"], arguments].concat());
    let text = String::from_utf8(output.stdout).expect("text").to_lowercase();
    // The head of `100 Continue` comes before that of the answer.
    let last = text.trim_end().rsplit("\r\n\r\n").next().expect("a head");
    let status = last.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer: {text:?}, {:?}", output.stderr));
    (status, format!("{last}\r\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_whatever_the_client_waits_for() {
    let sidecar = Sidecar::start();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vec![b' '; 8 * 1024 * 1024]).expect("written");
    let (url, body) = (
        sidecar.url("/module/server-groups"),
        format!("@{}", file.path().display()),
    );
    for header in ["Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let (status, head) = head(&["-H", header, "--data-binary", &body, &url]);
        assert_eq!(status, 413, "{header}: {head}");
        assert!(head.contains("connection: close\r\n"), "{header}: {head}");
        assert!(!head.contains("keep-alive"), "{header}: {head}");
    }
    assert_eq!(sidecar.read("/module/server-groups"), serde_json::json!([]));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_says_how_long_an_idle_connection_is_kept() {
    let sidecar = Sidecar::start();
    let url = sidecar.url("/module/server-groups");
    for kept in [&["--http1.1"][..], &["--http1.0", "-H", "Connection: Keep-Alive"]] {
        let (_, head) = head(&[kept, &[&url]].concat());
        assert!(
            head.contains("connection: keep-alive\r\n") && head.contains("keep-alive: timeout=10\r\n"),
            "{kept:?}: {head}"
        );
    }
    for closed in [&["-H", "Connection: close"][..], &["--http1.0"]] {
        let (_, head) = head(&[closed, &[&url]].concat());
        assert!(!head.contains("keep-alive"), "{closed:?}: {head}");
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
