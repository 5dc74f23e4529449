//! Sections 3 to 5: the preface, the form of frames, the states of streams.

use std::time::Duration;

use sidecar::balance::Protocol;
use sidecar::proxy::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::frames::*;
use super::super::support::{connect, lb, lb_with, within};
use super::Outcome::{Answered, Connection, Ignored};
use super::{check, instance};

#[tokio::test]
async fn section_3_4_a_connection_begins_with_the_preface_and_settings() {
    let (address, _) = instance().await;
    let (lb, _) = lb(&[address]);
    lb.set_protocol(Protocol::H2);
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut stream = connect(&lb).await;
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset ends it as well.
        let _ = within("end of the connection", stream.read_to_end(&mut answer)).await;
    }
    let mut peer = Peer::connect(&lb).await;
    assert_eq!(peer.read().await.unwrap().kind, SETTINGS);
}

#[tokio::test]
async fn section_4_1_unknown_frames_and_the_reserved_bit_are_ignored() {
    let mut reserved = get(1);
    reserved[5] |= 0x80;
    check(vec![
        ("an unknown type", frame(0x16, 0xff, 0, b"anything"), Ignored),
        ("an unknown type on a stream", frame(0x16, 0, 1, b""), Ignored),
        ("the reserved bit", reserved, Answered(1)),
        ("undefined flags", frame(PING, 0x16, 0, b"12345678"), Ignored),
    ])
    .await;
}

#[tokio::test]
async fn section_4_2_a_frame_that_is_too_long_is_an_error() {
    let long = [0; 16 * 1024 + 1];
    let largest = [post(1), frame(DATA, END_STREAM, 1, &long[1..])].concat();
    check(vec![
        ("the largest frame", largest, Answered(1)),
        (
            "DATA",
            [post(1), frame(DATA, 0, 1, &long)].concat(),
            Connection(FRAME_SIZE_ERROR),
        ),
        (
            "HEADERS",
            frame(HEADERS, END_HEADERS, 1, &long),
            Connection(FRAME_SIZE_ERROR),
        ),
        (
            "an unknown type",
            frame(0x16, 0, 0, &long),
            Connection(FRAME_SIZE_ERROR),
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_4_3_a_field_block_must_be_decodable_and_contiguous() {
    let open = frame(HEADERS, END_STREAM, 1, &request("GET", &[]));
    let interrupted = |by: Vec<u8>| [open.clone(), by].concat();
    check(vec![
        (
            "an index beyond the tables",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0x03]),
            Connection(COMPRESSION_ERROR),
        ),
        (
            "a text that is cut off",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 5, b'a']),
            Connection(COMPRESSION_ERROR),
        ),
        (
            "a table size beyond the setting",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x3f, 0xff, 0xff, 0x03]),
            Connection(COMPRESSION_ERROR),
        ),
        (
            "DATA between",
            interrupted(frame(DATA, 0, 1, b"x")),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "PING between",
            interrupted(frame(PING, 0, 0, b"12345678")),
            Connection(PROTOCOL_ERROR),
        ),
        ("HEADERS between", interrupted(get(3)), Connection(PROTOCOL_ERROR)),
        (
            "CONTINUATION of another stream",
            interrupted(frame(CONTINUATION, END_HEADERS, 3, &[])),
            Connection(PROTOCOL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_5_1_frames_fit_the_state_of_their_stream() {
    let idle = |kind, payload: &[u8]| frame(kind, 0, 1, payload);
    let after_end = |bytes: Vec<u8>| [get(1), bytes].concat();
    let reset = frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes());
    check(vec![
        (
            "DATA on an idle stream",
            idle(DATA, b"x"),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "RST_STREAM on an idle stream",
            reset.clone(),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "WINDOW_UPDATE on an idle stream",
            idle(WINDOW_UPDATE, &[0, 0, 0, 1]),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "CONTINUATION on an idle stream",
            idle(CONTINUATION, b""),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "PRIORITY on an idle stream",
            idle(PRIORITY, &[0, 0, 0, 0, 1]),
            Ignored,
        ),
        (
            "WINDOW_UPDATE after the end",
            after_end(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
            Answered(1),
        ),
        (
            "RST_STREAM twice",
            [post(1), reset.clone(), reset.clone()].concat(),
            Ignored,
        ),
        (
            "DATA after RST_STREAM",
            [post(1), reset, frame(DATA, 0, 1, b"x")].concat(),
            Ignored,
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_5_1_data_after_the_end_of_a_request_is_an_error() {
    let limits = Limits {
        hold: Duration::from_secs(300),
        ..Limits::default()
    };
    // The request waits, so that its stream is not closed.
    let (lb, _) = lb_with(&[], limits);
    for (what, second) in [("DATA", frame(DATA, 0, 1, b"x")), ("HEADERS", get(1))] {
        let mut peer = Peer::connect(&lb).await;
        peer.write(&[get(1), second].concat()).await;
        let is_end = |frame: &Frame| [RST_STREAM, GOAWAY].contains(&frame.kind);
        let end = peer
            .find(is_end)
            .await
            .unwrap_or_else(|| panic!("{what}: no error"));
        assert!(
            [STREAM_CLOSED, PROTOCOL_ERROR].contains(&end.code()),
            "{what}: {end:?}"
        );
    }
}

#[tokio::test]
async fn section_5_1_1_streams_of_clients_are_odd_and_ascend() {
    check(vec![
        ("an even one", get(2), Connection(PROTOCOL_ERROR)),
        (
            "one below the last",
            [get(5), get(3)].concat(),
            Connection(PROTOCOL_ERROR),
        ),
        ("a gap", get(99), Answered(99)),
    ])
    .await;
}

#[tokio::test]
async fn section_5_1_2_a_request_beyond_the_limit_is_refused() {
    let limits = Limits {
        hold: Duration::from_secs(300),
        ..Limits::default()
    };
    let (lb, _) = lb_with(&[], limits);
    let mut peer = Peer::connect(&lb).await;
    let settings = peer.find(|frame| frame.kind == SETTINGS).await.unwrap().payload;
    let limit = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).unwrap();
    let limit = u32::from_be_bytes(limit[2..].try_into().unwrap());
    // Acknowledged, the limit holds.
    peer.write(&frame(SETTINGS, ACK, 0, &[])).await;
    for index in 0..=limit {
        peer.write(&get(2 * index + 1)).await;
    }
    let refused = peer.find(|frame| frame.kind == RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.code()), (2 * limit + 1, REFUSED_STREAM));
}
