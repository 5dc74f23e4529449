//! Section 8: requests.

use hyper::{Request, StatusCode};
use sidecar::balance::Protocol;

use super::super::frames::*;
use super::super::streams;
use super::super::support::{body, lb};
use super::Outcome::{Answered, Stream};
use super::{Case, check};

/// A request of these fields alone.
fn head(list: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(list))
}

/// A request with these fields at its end.
fn with(more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", more))
}

/// What is wrong with the message of the first stream.
fn malformed(cases: Vec<(&'static str, Vec<u8>)>) -> Vec<Case> {
    let ended = |(what, bytes)| (what, bytes, Stream(1, PROTOCOL_ERROR));
    cases.into_iter().map(ended).collect()
}

#[tokio::test]
async fn section_8_1_a_message_ends_with_its_trailers_and_has_the_length_that_it_says() {
    let length = |length: &str| {
        frame(
            HEADERS,
            END_HEADERS,
            1,
            &request("POST", &[("content-length", length)]),
        )
    };
    let data = |bytes: &[u8]| frame(DATA, END_STREAM, 1, bytes);
    let trailers = |flags, list: &[(&str, &str)]| frame(HEADERS, END_HEADERS | flags, 1, &fields(list));
    let mut cases = malformed(vec![
        (
            "trailers that do not end it",
            [post(1), trailers(0, &[("a", "b")])].concat(),
        ),
        ("shorter than it says", [length("2"), data(b"x")].concat()),
        ("longer than it says", [length("2"), data(b"xyz")].concat()),
        ("a length that is none", [length("x"), data(b"x")].concat()),
        ("without the body that it says", with(&[("content-length", "1")])),
    ]);
    // It does not reach the instance.
    cases.push((
        "a pseudo-header in trailers",
        [post(1), trailers(END_STREAM, &[(":path", "/")])].concat(),
        Answered(1),
    ));
    cases.push((
        "trailers",
        [
            post(1),
            frame(DATA, 0, 1, b"x"),
            trailers(END_STREAM, &[("a", "b")]),
        ]
        .concat(),
        Answered(1),
    ));
    cases.push((
        "the length that it says",
        [length("1"), data(b"x")].concat(),
        Answered(1),
    ));
    check(cases).await;
}

#[tokio::test]
async fn section_8_2_fields_are_valid_and_not_about_the_connection() {
    let mut cases = malformed(vec![
        ("an upper-case name", with(&[("X-A", "b")])),
        ("a name with a space", with(&[("x a", "b")])),
        ("a name with a colon", with(&[("x:a", "b")])),
        ("an empty name", with(&[("", "b")])),
        ("a value with a line feed", with(&[("x-a", "b\nc: d")])),
        ("a value with a carriage return", with(&[("x-a", "b\rc")])),
        ("a value with a null", with(&[("x-a", "b\0")])),
        ("Connection", with(&[("connection", "close")])),
        ("Keep-Alive", with(&[("keep-alive", "timeout=5")])),
        ("Proxy-Connection", with(&[("proxy-connection", "close")])),
        ("Transfer-Encoding", with(&[("transfer-encoding", "chunked")])),
        ("Upgrade", with(&[("upgrade", "websocket")])),
        ("TE other than trailers", with(&[("te", "gzip")])),
    ]);
    cases.push(("TE of trailers", with(&[("te", "trailers")]), Answered(1)));
    cases.push((
        "several cookies",
        with(&[("cookie", "a=b"), ("cookie", "c=d")]),
        Answered(1),
    ));
    check(cases).await;
}

#[tokio::test]
async fn section_8_3_pseudo_headers_are_complete_known_and_first() {
    let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", "/"));
    let authority = (":authority", "service.mesh");
    let mut cases = malformed(vec![
        ("none", head(&[("a", "b")])),
        ("no method", head(&[scheme, path, authority])),
        ("no scheme", head(&[method, path, authority])),
        ("no path", head(&[method, scheme, authority])),
        ("an empty path", head(&[method, scheme, (":path", ""), authority])),
        (
            "a path that is none",
            head(&[method, scheme, (":path", "a b"), authority]),
        ),
        ("two methods", head(&[method, method, scheme, path, authority])),
        ("two paths", head(&[method, scheme, path, path, authority])),
        (
            "two authorities",
            head(&[method, scheme, path, authority, authority]),
        ),
        (
            "one after a field",
            head(&[method, scheme, ("a", "b"), path, authority]),
        ),
        (
            "an unknown one",
            head(&[method, scheme, path, authority, (":other", "x")]),
        ),
        (
            "that of answers",
            head(&[method, scheme, path, authority, (":status", "200")]),
        ),
        (
            "a method that is none",
            head(&[(":method", "G T"), scheme, path, authority]),
        ),
    ]);
    let host = ("host", "service.mesh");
    cases.push(("Host alone", head(&[method, scheme, path, host]), Answered(1)));
    cases.push((
        "Host and :authority",
        head(&[method, scheme, path, authority, host]),
        Answered(1),
    ));
    check(cases).await;
}

#[tokio::test]
async fn section_8_5_connect_has_neither_scheme_nor_path_and_is_refused() {
    let (method, authority) = ((":method", "CONNECT"), (":authority", "service.mesh:80"));
    check(malformed(vec![
        ("with a path", head(&[method, authority, (":path", "/")])),
        ("with a scheme", head(&[method, authority, (":scheme", "http")])),
        ("without an authority", head(&[method])),
        (
            "extended, which is not offered",
            head(&[
                method,
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", "/"),
                authority,
            ]),
        ),
    ]))
    .await;
    let (lb, _) = lb(&[]);
    lb.set_protocol(Protocol::H2);
    let request = Request::connect("service.mesh:80").body(body("")).unwrap();
    let answer = streams::send(&streams::client(&lb).await, request).await;
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(answer.headers()["x-sidecar-error"], "not-supported");
}
