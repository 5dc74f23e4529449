//! The SOCKS5 handshake: greeting, method, request.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wire::{
    CONNECT, Decoded, Destination, Greeting, NO_ACCEPTABLE_METHOD, NO_AUTHENTICATION, Reply, ReplyCode,
    Request, WireError, encode_method,
};

/// Buffer size, in bytes: the longest greeting has 257, the longest request 262.
const BUFFER: usize = 520;

/// The result of a handshake.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub(super) destination: Destination,
    /// Data that the client sent after its request.
    pub(super) initial: Vec<u8>,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("the client left during the handshake")]
    Left,
    #[error("the connection broke during the handshake: {0}")]
    Broke(#[from] io::Error),
    #[error("the handshake took longer than {} ms", .0.as_millis())]
    TooSlow(Duration),
    #[error("not a SOCKS5 greeting: {0}")]
    Greeting(WireError),
    #[error(
        "the client speaks HTTP; it must use this port as a SOCKS5 proxy (socks5h://), not as an HTTP proxy"
    )]
    Http,
    #[error("the client offers no method without authentication")]
    Method,
    #[error("not a SOCKS5 request: {0}")]
    Request(WireError),
    #[error("command {0} is not supported, only CONNECT")]
    Command(u8),
}

impl HandshakeError {
    /// Whether the client is set up for another protocol, which its user should know.
    pub(super) fn is_other_protocol(&self) -> bool {
        matches!(self, Self::Greeting(_) | Self::Http)
    }

    /// The reply to the client; `None` if it uses an unknown protocol or has disconnected.
    pub(super) fn reply(&self) -> Option<Vec<u8>> {
        match self {
            Self::Left | Self::Broke(_) | Self::TooSlow(_) | Self::Greeting(_) => None,
            Self::Http => Some(bad_request(self)),
            Self::Method => Some(encode_method(NO_ACCEPTABLE_METHOD).to_vec()),
            Self::Request(WireError::AddressType(_)) => Some(refusal(ReplyCode::AddressTypeNotSupported)),
            Self::Request(_) => Some(refusal(ReplyCode::GeneralFailure)),
            Self::Command(_) => Some(refusal(ReplyCode::CommandNotSupported)),
        }
    }
}

/// A response to a client that speaks HTTP.
fn bad_request(why: &HandshakeError) -> Vec<u8> {
    let body = format!("{why}.\n");
    let length = body.len();
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close";
    format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// An error of a greeting. A SOCKS version is no letter, and every HTTP method begins with one.
fn greeting(error: WireError) -> HandshakeError {
    match error {
        WireError::Version(first) if first.is_ascii_alphabetic() => HandshakeError::Http,
        error => HandshakeError::Greeting(error),
    }
}

/// A reply that reports a failure.
pub(super) fn refusal(code: ReplyCode) -> Vec<u8> {
    let bound = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Reply { code, bound }.encode()
}

/// Performs the handshake up to the client's request, before the timeout.
pub(super) async fn negotiate(client: &mut TcpStream, limit: Duration) -> Result<Negotiated, HandshakeError> {
    let outcome = timeout(limit, exchange(client)).await;
    outcome.unwrap_or(Err(HandshakeError::TooSlow(limit)))
}

async fn exchange(client: &mut TcpStream) -> Result<Negotiated, HandshakeError> {
    let mut bytes = Vec::with_capacity(BUFFER);
    let greeting = message(client, &mut bytes, Greeting::decode, greeting).await?;
    if !greeting.methods.contains(&NO_AUTHENTICATION) {
        return Err(HandshakeError::Method);
    }
    client.write_all(&encode_method(NO_AUTHENTICATION)).await?;
    let request = message(client, &mut bytes, Request::decode, HandshakeError::Request).await?;
    if request.command != CONNECT {
        return Err(HandshakeError::Command(request.command));
    }
    bytes.shrink_to_fit();
    Ok(Negotiated {
        destination: request.destination,
        initial: bytes,
    })
}

/// Reads until `bytes` holds a whole message, and removes it. The decoder rejects a message as soon as it can no
/// longer become valid, so `bytes` stays small.
async fn message<T>(
    client: &mut TcpStream,
    bytes: &mut Vec<u8>,
    decode: fn(&[u8]) -> Decoded<T>,
    error: fn(WireError) -> HandshakeError,
) -> Result<T, HandshakeError> {
    loop {
        if let Some((message, length)) = decode(bytes).map_err(error)? {
            bytes.drain(..length);
            return Ok(message);
        }
        if client.read_buf(bytes).await? == 0 {
            return Err(HandshakeError::Left);
        }
    }
}
