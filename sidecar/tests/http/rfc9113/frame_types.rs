//! Section 6: each type of frame.

use std::time::Duration;

use sidecar::proxy::Limits;

use super::super::frames::*;
use super::super::support::{lb, lb_with};
use super::Outcome::{Answered, Connection, Ignored, Stream};
use super::{check, instance};

#[tokio::test]
async fn sections_6_1_and_6_2_data_and_headers_are_on_a_stream_and_longer_than_their_padding() {
    let padded = |bytes: &[u8]| frame(DATA, PADDED | END_STREAM, 1, bytes);
    let headers = [&[3][..], &request("GET", &[]), &[0; 3]].concat();
    check(vec![
        (
            "DATA on the connection",
            frame(DATA, 0, 0, b"x"),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "HEADERS on the connection",
            frame(HEADERS, END_HEADERS, 0, &[]),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "padding",
            [post(1), padded(&[2, b'x', 0, 0])].concat(),
            Answered(1),
        ),
        (
            "only padding",
            [post(1), padded(&[2, 0, 0])].concat(),
            Answered(1),
        ),
        (
            "DATA shorter than its padding",
            [post(1), padded(&[3, 0, 0])].concat(),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "padded HEADERS",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &headers),
            Answered(1),
        ),
        (
            "HEADERS shorter than its padding",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[9, 0x82]),
            Connection(PROTOCOL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test]
async fn sections_6_3_and_6_4_priority_and_rst_stream_have_a_stream_and_a_length() {
    check(vec![
        (
            "PRIORITY on the connection",
            frame(PRIORITY, 0, 0, &[0; 5]),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "RST_STREAM on the connection",
            frame(RST_STREAM, 0, 0, &[0; 4]),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "a short RST_STREAM",
            [post(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Connection(FRAME_SIZE_ERROR),
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_6_5_settings_are_of_the_connection_and_in_their_ranges() {
    let set = |identifier, value| frame(SETTINGS, 0, 0, &setting(identifier, value));
    check(vec![
        (
            "on a stream",
            frame(SETTINGS, 0, 1, &[]),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "an acknowledgement with settings",
            frame(SETTINGS, ACK, 0, &setting(1, 1)),
            Connection(FRAME_SIZE_ERROR),
        ),
        (
            "half a setting",
            frame(SETTINGS, 0, 0, &[0; 3]),
            Connection(FRAME_SIZE_ERROR),
        ),
        ("an unknown one", set(0x99, 1), Ignored),
        ("ENABLE_PUSH of 2", set(2, 2), Connection(PROTOCOL_ERROR)),
        (
            "a window of 2^31",
            set(4, 1 << 31),
            Connection(FLOW_CONTROL_ERROR),
        ),
        (
            "frames below 2^14",
            set(5, (1 << 14) - 1),
            Connection(PROTOCOL_ERROR),
        ),
        ("frames of 2^24", set(5, 1 << 24), Connection(PROTOCOL_ERROR)),
        ("the largest frames", set(5, (1 << 24) - 1), Ignored),
    ])
    .await;
}

#[tokio::test]
async fn section_6_5_3_settings_are_acknowledged() {
    let (lb, _) = lb(&[]);
    let mut peer = Peer::connect(&lb).await;
    let acknowledged = peer.find(|frame| (frame.kind, frame.flags) == (SETTINGS, ACK));
    assert_eq!(acknowledged.await.unwrap().payload, b"");
}

#[tokio::test]
async fn section_6_6_a_client_does_not_push() {
    let pushed = [&[0, 0, 0, 2], &request("GET", &[])[..]].concat();
    let bytes = [get(1), frame(PUSH_PROMISE, END_HEADERS, 1, &pushed)].concat();
    check(vec![("PUSH_PROMISE", bytes, Connection(PROTOCOL_ERROR))]).await;
}

#[tokio::test]
async fn section_6_7_a_ping_is_answered_with_its_bytes() {
    check(vec![
        (
            "on a stream",
            frame(PING, 0, 1, b"12345678"),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "a short one",
            frame(PING, 0, 0, b"1234"),
            Connection(FRAME_SIZE_ERROR),
        ),
        ("an answer to none", frame(PING, ACK, 0, b"12345678"), Ignored),
    ])
    .await;
    let (lb, _) = lb(&[]);
    let mut peer = Peer::connect(&lb).await;
    peer.write(&frame(PING, 0, 0, b"12345678")).await;
    let pong = peer.find(|frame| frame.kind == PING).await.unwrap();
    assert_eq!((pong.flags, &pong.payload[..]), (ACK, &b"12345678"[..]));
}

#[tokio::test]
async fn section_6_8_requests_before_a_goaway_are_answered() {
    let on_stream = frame(GOAWAY, 0, 1, &[0; 8]);
    check(vec![("on a stream", on_stream, Connection(PROTOCOL_ERROR))]).await;
    let (address, _) = instance().await;
    let (lb, _) = lb(&[address]);
    let mut peer = Peer::connect(&lb).await;
    let bytes = [
        post(1),
        frame(GOAWAY, 0, 0, &[0; 8]),
        frame(DATA, END_STREAM, 1, b"x"),
    ];
    peer.write(&bytes.concat()).await;
    let answer = peer.find(|frame| frame.stream == 1 && frame.is_success());
    assert!(answer.await.is_some(), "no answer");
    while peer.read().await.is_some() {}
}

#[tokio::test]
async fn section_6_9_windows_grow_and_do_not_overflow() {
    let update = |stream, increment: u32| frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
    let most = (1 << 31) - 1;
    check(vec![
        ("0 for the connection", update(0, 0), Connection(PROTOCOL_ERROR)),
        (
            "0 for a stream",
            [post(1), update(1, 0)].concat(),
            Stream(1, PROTOCOL_ERROR),
        ),
        (
            "a short one",
            frame(WINDOW_UPDATE, 0, 0, &[0, 1]),
            Connection(FRAME_SIZE_ERROR),
        ),
        (
            "too much for the connection",
            update(0, most),
            Connection(FLOW_CONTROL_ERROR),
        ),
        (
            "too much for a stream",
            [post(1), update(1, most)].concat(),
            Stream(1, FLOW_CONTROL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test]
async fn sections_6_9_1_and_6_9_2_an_answer_keeps_to_the_window() {
    let (address, _) = instance().await;
    let (lb, _) = lb(&[address]);
    let mut peer = Peer::connect(&lb).await;
    let window = |size| frame(SETTINGS, 0, 0, &setting(4, size));
    peer.write(&[window(1), get(1)].concat()).await;
    let is_data = |frame: &Frame| frame.kind == DATA && !frame.payload.is_empty();
    assert_eq!(peer.find(is_data).await.unwrap().payload, b"h");
    peer.write(&frame(PING, 0, 0, b"no more.")).await;
    let next = peer.find(|frame| is_data(frame) || frame.kind == PING);
    assert_eq!(next.await.unwrap().kind, PING, "more than the window");
    // The last setting takes one byte from the window, of which one is used.
    peer.write(&[window(0), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 3])].concat())
        .await;
    let mut rest = Vec::new();
    while rest.len() < 2 {
        rest.extend_from_slice(&peer.find(is_data).await.unwrap().payload);
    }
    assert_eq!(rest, b"el");
}

#[tokio::test]
async fn section_6_9_1_a_request_beyond_the_window_is_an_error() {
    let limits = Limits {
        hold: Duration::from_secs(300),
        ..Limits::default()
    };
    // The request waits, so that nobody reads its body.
    let (lb, _) = lb_with(&[], limits);
    let mut peer = Peer::connect(&lb).await;
    peer.write(&post(1)).await;
    for _ in 0..17 {
        peer.write(&frame(DATA, 0, 1, &[0; 16 * 1024])).await;
    }
    let is_end = |frame: &Frame| [RST_STREAM, GOAWAY].contains(&frame.kind);
    assert_eq!(peer.find(is_end).await.unwrap().code(), FLOW_CONTROL_ERROR);
}

#[tokio::test]
async fn section_6_10_a_continuation_follows_a_head_that_goes_on() {
    let block = request("GET", &[]);
    let (first, rest) = block.split_at(20);
    let open = frame(HEADERS, END_STREAM, 1, first);
    check(vec![
        (
            "in two frames",
            [open.clone(), frame(CONTINUATION, END_HEADERS, 1, rest)].concat(),
            Answered(1),
        ),
        (
            "on the connection",
            [open, frame(CONTINUATION, END_HEADERS, 0, rest)].concat(),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "after a whole head",
            [post(1), frame(CONTINUATION, END_HEADERS, 1, &[])].concat(),
            Connection(PROTOCOL_ERROR),
        ),
    ])
    .await;
}
