//! What is said before the bytes flow: greeting, method, request, reply.

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

/// Room for the longest greeting and the longest request, which are 257 and 262 bytes.
const ROOM: usize = 520;

/// What a client asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) destination: Destination,
    /// Bytes that it sent behind its request already.
    pub(super) initial: Vec<u8>,
}

/// Why a handshake came to nothing.
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
    #[error("the client offers no method without authentication")]
    Method,
    #[error("not a SOCKS5 request: {0}")]
    Request(WireError),
    #[error("command {0} is not supported, only CONNECT")]
    Command(u8),
}

impl HandshakeError {
    /// What the client is to hear of it, if anything: who speaks no SOCKS5 would not understand.
    pub(super) fn reply(&self) -> Option<Vec<u8>> {
        match self {
            Self::Left | Self::Broke(_) | Self::TooSlow(_) | Self::Greeting(_) => None,
            Self::Method => Some(encode_method(NO_ACCEPTABLE_METHOD).to_vec()),
            Self::Request(WireError::AddressType(_)) => Some(refusal(ReplyCode::AddressTypeNotSupported)),
            Self::Request(_) => Some(refusal(ReplyCode::GeneralFailure)),
            Self::Command(_) => Some(refusal(ReplyCode::CommandNotSupported)),
        }
    }
}

/// A reply that says no.
pub(super) fn refusal(code: ReplyCode) -> Vec<u8> {
    let bound = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Reply { code, bound }.encode()
}

/// Hears what the client wants, within the limit.
pub(super) async fn hear(client: &mut TcpStream, limit: Duration) -> Result<Asked, HandshakeError> {
    let heard = timeout(limit, converse(client)).await;
    heard.unwrap_or(Err(HandshakeError::TooSlow(limit)))
}

async fn converse(client: &mut TcpStream) -> Result<Asked, HandshakeError> {
    let mut bytes = Vec::with_capacity(ROOM);
    let greeting = message(client, &mut bytes, Greeting::decode, HandshakeError::Greeting).await?;
    if !greeting.methods.contains(&NO_AUTHENTICATION) {
        return Err(HandshakeError::Method);
    }
    client.write_all(&encode_method(NO_AUTHENTICATION)).await?;
    let request = message(client, &mut bytes, Request::decode, HandshakeError::Request).await?;
    if request.command != CONNECT {
        return Err(HandshakeError::Command(request.command));
    }
    bytes.shrink_to_fit();
    Ok(Asked {
        destination: request.destination,
        initial: bytes,
    })
}

/// Reads until there is a whole message and takes it off the front. A message that cannot be completed by as
/// many bytes as its length field allows is an error of the decoder, so `bytes` stays small.
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
