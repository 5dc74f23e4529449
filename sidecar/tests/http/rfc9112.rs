//! Which messages of HTTP/1.1 are understood, and how, by section of RFC 9112. Each test has the section in its name. What two
//! programs could read differently is in `smuggling.rs`.

use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::{Request, Response};

use super::support::{body, exchange, instance, lb};

/// What an instance got: request lines without the version, each with its body.
type Got = Arc<Mutex<Vec<String>>>;

/// An instance that records its requests, and answers with the number of bytes of their bodies.
async fn recording() -> (std::net::SocketAddr, Got) {
    let got = Got::default();
    let record = Arc::clone(&got);
    let address = instance(move |request: Request<Incoming>| {
        let record = Arc::clone(&record);
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let whole = http_body_util::BodyExt::collect(request.into_body()).await;
            let text = match whole {
                Ok(whole) => String::from_utf8(whole.to_bytes().to_vec()).unwrap(),
                Err(_) => "that broke off".to_owned(),
            };
            record
                .lock()
                .unwrap()
                .push(format!("{line} {text}").trim_end().to_owned());
            Response::new(body("ok"))
        }
    })
    .await;
    (address, got)
}

/// What is sent, the statuses of the answers, and what the instance gets.
type Case = (&'static str, &'static [u16], &'static [&'static str]);

/// Checks that each case has its answers, after which its connection ends, and that the instance gets that and nothing else.
async fn check(cases: &[Case]) {
    let (address, got) = recording().await;
    let (lb, _) = lb(&[address]);
    let mut wrong = Vec::new();
    for (bytes, statuses, expected) in cases {
        got.lock().unwrap().clear();
        let answers = exchange(&lb, bytes.as_bytes()).await;
        let found = answers
            .split("HTTP/1.")
            .skip(1)
            .map(|answer| answer[2..5].parse().unwrap());
        let found: Vec<u16> = found.collect();
        let got = got.lock().unwrap();
        if found != *statuses || *got != *expected {
            wrong.push(format!("{bytes:?}: answered {found:?}, the instance got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn section_2_2_empty_lines_before_a_request_are_ignored_and_other_bytes_are_not() {
    check(&[
        (
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200],
            &["GET /"],
        ),
        (
            "GET / HTTP/1.1\nHost: a\nConnection: close\n\n",
            &[200],
            &["GET /"],
        ),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", &[400], &[]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", &[400], &[]),
    ])
    .await;
}

#[tokio::test]
async fn section_2_3_the_version_is_1_0_or_1_1() {
    check(&[
        ("GET / HTTP/1.0\r\n\r\n", &[200], &["GET /"]),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.9\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET /\r\n\r\n", &[400], &[]),
    ])
    .await;
}

#[tokio::test]
async fn section_3_a_request_line_has_a_method_a_target_and_a_version() {
    check(&[
        (
            "PURGE /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200],
            &["PURGE /a"],
        ),
        (
            "get / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200],
            &["get /"],
        ),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ])
    .await;
}

#[tokio::test]
async fn section_3_2_targets_have_four_forms_and_one_host() {
    check(&[
        (
            "GET http://b/c?d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200],
            &["GET /c?d"],
        ),
        (
            "GET http://b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200],
            &["GET /"],
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200],
            &["OPTIONS *"],
        ),
        (
            "GET /?? HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
            &[200],
            &["GET /??"],
        ),
        ("GET / HTTP/1.1\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &[400], &[]),
        (
            "GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[400],
            &[],
        ),
        (
            "GET a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[400],
            &[],
        ),
        (
            "GET relative HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[400],
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_5_field_lines_have_a_name_a_colon_and_a_value() {
    check(&[
        (
            "GET / HTTP/1.1\r\nHost:  a \t\r\nX-Empty:\r\nConnection: close\r\n\r\n",
            &[200],
            &["GET /"],
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", &[400], &[]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n", &[400], &[]),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\tfolded\r\n\r\n",
            &[400],
            &[],
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A: \x01\r\n\r\n", &[400], &[]),
    ])
    .await;
}

#[tokio::test]
async fn section_6_the_body_has_the_length_that_its_fields_say() {
    check(&[
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcGET",
            &[200],
            &["POST / abc"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nnot a body",
            &[200],
            &["POST /"],
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
            &[200],
            &["GET / ab"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n",
            &[200],
            &["POST / a"],
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", &[400], &[]),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", &[400], &[]),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", &[400], &[]),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", &[400], &[]),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], &[]),
    ])
    .await;
}

#[tokio::test]
async fn section_7_1_a_body_of_chunks_ends_with_the_last_or_is_broken() {
    check(&[
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             0000A;x=\"y\"\r\n0123456789\r\n1;z\r\na\r\n000\r\nX-Trailer: b\r\n\r\n",
            &[200],
            &["POST / 0123456789a"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\na\r\n0\r\n\r\n",
            &[400],
            &[],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            &[400],
            &[],
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n-1\r\n\r\n",
            &[400],
            &[],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\na",
            &[400],
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_9_3_connections_persist_unless_either_side_says_otherwise() {
    let close = "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let after = "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    let persists = format!("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n{close}{after}");
    let old = format!("GET /1 HTTP/1.0\r\n\r\n{after}");
    let old_kept = format!("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n{close}");
    let malformed = format!("GET /1 HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n{after}");
    for (bytes, statuses, got) in [
        (persists, &[200, 200][..], &["GET /1", "GET /2"][..]),
        (old, &[200], &["GET /1"]),
        (old_kept, &[200, 200], &["GET /1", "GET /2"]),
        (malformed, &[400], &[]),
    ] {
        check(&[(bytes.leak(), statuses, got)]).await;
    }
}
