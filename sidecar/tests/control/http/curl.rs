//! Sessions of curl.

use std::process::Command;

use super::clients::Sidecar;
use crate::skip::skip;

/// The status and the headers of an answer to curl, in lower case. `None`, with a message, if curl is not installed.
fn head(arguments: &[&str]) -> Option<(u16, String)> {
    let output = Command::new("curl")
        .args([
            "-sS",
            "--max-time",
            "10",
            "--noproxy",
            "",
            "-o",
            "/dev/null",
            "-D",
            "-",
        ])
        .args(arguments)
        .output();
    let Ok(output) = output else {
        skip("curl", "install it");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("text").to_lowercase();
    // The head of `100 Continue` comes before that of the answer.
    let last = text.trim_end().rsplit("\r\n\r\n").next().expect("a head");
    let status = last.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer: {text:?}, {:?}", output.stderr));
    Some((status, format!("{last}\r\n")))
}

#[test]
fn curl_is_told_that_a_body_is_too_large_whatever_it_waits_for() {
    let sidecar = Sidecar::start();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vec![b' '; 8 * 1024 * 1024]).expect("written");
    let (url, body) = (
        sidecar.url("/module/server-groups"),
        format!("@{}", file.path().display()),
    );
    for header in ["Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let Some((status, head)) = head(&["-H", header, "--data-binary", &body, &url]) else {
            return;
        };
        assert_eq!(status, 413, "{header}: {head}");
        assert!(head.contains("connection: close\r\n"), "{header}: {head}");
        assert!(!head.contains("keep-alive"), "{header}: {head}");
    }
}

#[test]
fn curl_makes_and_lists_a_resource() {
    let sidecar = Sidecar::start();
    let url = sidecar.url("/module/server-groups");
    let Some((status, _)) = head(&["-d", r#"{"name":"x"}"#, &url]) else {
        return;
    };
    assert_eq!(status, 204);
    for kept in [&["--http1.1"][..], &["--http1.0", "-H", "Connection: Keep-Alive"]] {
        let (status, head) = head(&[kept, &[&url]].concat()).expect("curl is installed");
        assert_eq!(status, 200);
        assert!(
            head.contains("connection: keep-alive\r\n") && head.contains("keep-alive: timeout=10\r\n"),
            "{kept:?}: {head}"
        );
    }
}
