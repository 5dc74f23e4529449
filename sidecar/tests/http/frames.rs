//! Frames of HTTP/2 (RFC 9113, section 4), written and read one by one, so that a test can send those that no client does.

use sidecar::balance::Protocol;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::within;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a `RST_STREAM` or `GOAWAY`.
    pub(crate) fn code(&self) -> u32 {
        let end = if self.kind == GOAWAY { 8 } else { 4 };
        u32::from_be_bytes(self.payload[end - 4..end].try_into().unwrap())
    }

    /// Whether it is the head of an answer of 200, which is in the table of fields (RFC 7541, appendix A).
    pub(crate) fn is_success(&self) -> bool {
        self.kind == HEADERS && self.payload.first() == Some(&0x88)
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A block of fields, each a literal without indexing and without compression (RFC 7541, section 6.2.2).
pub(crate) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "{text} needs a longer length");
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The fields of a request, with more of them at the end.
pub(crate) fn request(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let head = [
        (":method", method),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "service.mesh"),
    ];
    fields(&[&head, more].concat())
}

/// A request without a body.
pub(crate) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", &[]))
}

/// The head of a request with a body.
pub(crate) fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &request("POST", &[]))
}

/// A setting.
pub(crate) fn setting(identifier: u16, value: u32) -> Vec<u8> {
    [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// Reads frames.
pub(crate) struct FrameReader<R>(pub(crate) R);

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// The next frame; none at the end of the connection.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        within("frame", self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        within("payload", self.0.read_exact(&mut payload)).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload,
        })
    }
}

/// A client that writes and reads frames.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

impl Peer {
    /// Connects, and exchanges the first frames.
    pub(crate) async fn connect(lb: &sidecar::proxy::tcp_lb::TcpLb) -> Self {
        lb.set_protocol(Protocol::H2);
        let mut peer = Self {
            stream: super::support::connect(lb).await,
        };
        peer.write(PREFACE).await;
        peer.write(&frame(SETTINGS, 0, 0, &[])).await;
        peer
    }

    /// Writes bytes; the connection may have ended.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = within("room for what is written", self.stream.write_all(bytes)).await;
    }

    /// The next frame; none at the end of the connection.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        FrameReader(&mut self.stream).read().await
    }

    /// The next frame for which `is` holds; none at the end of the connection.
    pub(crate) async fn find(&mut self, is: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if is(&frame) {
                return Some(frame);
            }
        }
    }
}
