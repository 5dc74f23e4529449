//! Section 10.5: clients that cost more than they pay. Each is stopped after a bounded number of frames, and others are served.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::super::frames::*;
use super::super::streams;
use super::super::support::{body, eventually, lb, within};
use super::instance;
use hyper::Request;
use sidecar::proxy::tcp_lb::TcpLb;

/// Frames of a flood at most; it must have been stopped before.
const MOST: usize = 200_000;

/// How a flood is stopped.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// The connection has ended, with this error if it was told.
    Ended(Option<u32>),
    /// The sidecar reads no further while its own frames are not read.
    Blocked,
}

/// Writes bytes again and again, each time those for the next number, until that is stopped. What the sidecar writes is
/// read only if `reads`.
async fn flood(lb: &TcpLb, reads: bool, bytes: impl Fn(u32) -> Vec<u8>) -> Stop {
    let peer = Peer::connect(lb).await;
    let (reader, mut writer) = peer.stream.into_split();
    let reading = tokio::spawn(async move {
        let mut reader = FrameReader(reader);
        let mut code = None;
        if !reads {
            return (code, Some(reader));
        }
        while let Some(frame) = reader.read().await {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        (code, None)
    });
    // Of a reader that must go on, no more is asked than that it does.
    let blocked = Duration::from_secs(if reads { 60 } else { 2 });
    for number in 0..u32::try_from(MOST).unwrap() {
        let bytes = bytes(number);
        let writing = writer.write_all(&bytes);
        match timeout(blocked, writing).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                let (code, _) = within("end of the connection", reading).await.unwrap();
                return Stop::Ended(code);
            }
            Err(_) => return Stop::Blocked,
        }
    }
    panic!("{MOST} frames were taken");
}

/// Checks that another client is served, and that nothing of a flood is left.
async fn is_calm(lb: &TcpLb, group: &sidecar::balance::ServerGroup) {
    let client = streams::client(lb).await;
    let request = Request::get("http://service.mesh/").body(body("")).unwrap();
    assert_eq!(streams::send(&client, request).await.status(), 200);
    eventually(|| {
        let active = group.counters().active();
        (active > 0).then(|| format!("{active} requests are active"))
    })
    .await;
}

#[tokio::test]
async fn section_10_5_requests_that_are_cancelled_at_once_end_the_connection() {
    let (address, _) = instance().await;
    let (lb, group) = lb(&[address]);
    let stop = flood(&lb, true, |number| {
        let stream = 2 * number + 1;
        [get(stream), frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()
    })
    .await;
    assert_eq!(stop, Stop::Ended(Some(ENHANCE_YOUR_CALM)));
    is_calm(&lb, &group).await;
}

#[tokio::test]
async fn section_10_5_a_head_without_an_end_ends_the_connection() {
    let (address, _) = instance().await;
    let (lb, group) = lb(&[address]);
    for block in [fields(&[("a", "b")]), Vec::new()] {
        let stop = flood(&lb, true, |number| match number {
            0 => frame(HEADERS, END_STREAM, 1, &request("GET", &[])),
            _ => frame(CONTINUATION, 0, 1, &block),
        })
        .await;
        assert!(matches!(stop, Stop::Ended(_)), "{stop:?}");
    }
    is_calm(&lb, &group).await;
}

#[tokio::test]
async fn section_10_5_frames_that_are_to_be_answered_wait_for_their_answers_to_be_read() {
    let (address, _) = instance().await;
    let (lb, group) = lb(&[address]);
    for bytes in [
        frame(PING, 0, 0, b"12345678"),
        frame(SETTINGS, 0, 0, &setting(4, 1000)),
    ] {
        let many = bytes.repeat(100);
        let stop = flood(&lb, false, |_| many.clone()).await;
        assert!(
            stop == Stop::Blocked || matches!(stop, Stop::Ended(_)),
            "{stop:?}"
        );
    }
    is_calm(&lb, &group).await;
}

#[tokio::test]
async fn section_10_5_streams_in_error_end_the_connection() {
    let (address, _) = instance().await;
    let (lb, group) = lb(&[address]);
    let stop = flood(&lb, true, |number| {
        let no_path = fields(&[(":method", "GET"), (":scheme", "http")]);
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &no_path)
    })
    .await;
    assert_eq!(stop, Stop::Ended(Some(ENHANCE_YOUR_CALM)));
    is_calm(&lb, &group).await;
}

#[tokio::test]
async fn section_10_5_fields_that_unfold_to_more_than_the_limit_are_refused() {
    let (address, whole) = instance().await;
    let (lb, group) = lb(&[address]);
    let mut peer = Peer::connect(&lb).await;
    // One long field into the table, and it again by its index: 100 times the bytes.
    let long = "v".repeat(100);
    let mut block = request("GET", &[]);
    block.extend_from_slice(&[0x40, 1, b'a', 100]);
    block.extend_from_slice(long.as_bytes());
    block.extend_from_slice(&[0xbe; 8 * 1024]);
    peer.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block))
        .await;
    let end = peer.find(|frame| [RST_STREAM, GOAWAY, HEADERS].contains(&frame.kind));
    let end = end.await.expect("an error");
    assert!(!end.is_success(), "{end:?}");
    assert_eq!(
        whole.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "an instance got it"
    );
    is_calm(&lb, &group).await;
}
