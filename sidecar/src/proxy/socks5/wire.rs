//! Codec of the SOCKS5 messages (RFC 1928); no sockets.
//!
//! Decoders get the bytes received so far, from the beginning of a message. They return the message and its length,
//! or `None` while it is incomplete, and fail as soon as it can no longer become valid.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

const VERSION: u8 = 5;
const RESERVED: u8 = 0;

/// The method "no authentication required" (RFC 1928, 3).
pub const NO_AUTHENTICATION: u8 = 0x00;
/// The answer if no method offered is acceptable (RFC 1928, 3).
pub const NO_ACCEPTABLE_METHOD: u8 = 0xff;
/// The command CONNECT (RFC 1928, 4).
pub const CONNECT: u8 = 0x01;

/// Why bytes are not a message of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Another protocol, or another version of it.
    #[error("the version is {0}, expected 5")]
    Version(u8),
    /// An address type that RFC 1928 does not know.
    #[error("the address type is {0}, expected 1, 3 or 4")]
    AddressType(u8),
    /// The domain name is empty or contains bytes that are not visible ASCII.
    #[error("the domain name is empty or not visible ASCII")]
    Domain,
}

/// The client's first message: the methods it offers (RFC 1928, 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The methods, at most 255.
    pub methods: Vec<u8>,
}

/// The destination of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// An address and port.
    Address(SocketAddr),
    /// A domain name, 1 to 255 bytes of visible ASCII, and a port.
    Domain(String, u16),
}

/// The client's request (RFC 1928, 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The command; only [`CONNECT`] is served.
    pub command: u8,
    /// The destination.
    pub destination: Destination,
}

/// The server's last message (RFC 1928, 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The result.
    pub code: ReplyCode,
    /// Our address on the instance's side; all zeros if there is no connection.
    pub bound: SocketAddr,
}

/// Result of a request (RFC 1928, 6): the codes that this server uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplyCode {
    /// The connection is established.
    Succeeded = 0x00,
    /// A failure that no other code names.
    GeneralFailure = 0x01,
    /// The destination is not allowed.
    NotAllowed = 0x02,
    /// No instance is up, or none is reachable.
    HostUnreachable = 0x04,
    /// All instances refused.
    ConnectionRefused = 0x05,
    /// An instance did not answer before the timeout: the only code about time.
    TtlExpired = 0x06,
    /// Only CONNECT is served.
    CommandNotSupported = 0x07,
    /// The address type is unknown.
    AddressTypeNotSupported = 0x08,
}

/// A decoder's result: the message and its length, or `None` while it is incomplete.
pub type Decoded<T> = Result<Option<(T, usize)>, WireError>;

impl Greeting {
    /// Reads a greeting.
    ///
    /// # Errors
    /// When the bytes are not a greeting.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut reader = Reader::new(bytes);
        reader.version()?;
        let methods = reader.byte().and_then(|count| reader.take(usize::from(count)));
        Ok(methods.map(|methods| {
            let methods = methods.to_vec();
            (Self { methods }, reader.position)
        }))
    }

    /// Writes the greeting as a client does; methods after the 255th are left out.
    pub fn encode(&self) -> Vec<u8> {
        let count = u8::try_from(self.methods.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![VERSION, count];
        bytes.extend_from_slice(&self.methods[..usize::from(count)]);
        bytes
    }
}

/// The server's answer to a greeting: the method chosen.
pub fn encode_method(method: u8) -> [u8; 2] {
    [VERSION, method]
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// When the bytes are not a request.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut reader = Reader::new(bytes);
        reader.version()?;
        let Some(command) = reader.byte() else {
            return Ok(None);
        };
        // The reserved byte should be 0 (RFC 1928, 4); its value does not matter here.
        reader.byte();
        let Some(destination) = reader.destination()? else {
            return Ok(None);
        };
        let request = Self { command, destination };
        Ok(Some((request, reader.position)))
    }

    /// Writes the request as a client does; a domain is truncated to 255 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.command, RESERVED];
        match &self.destination {
            Destination::Address(address) => put_address(&mut bytes, *address),
            Destination::Domain(name, port) => {
                let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
                bytes.extend_from_slice(&[3, length]);
                bytes.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
                bytes.extend_from_slice(&port.to_be_bytes());
            }
        }
        bytes
    }
}

impl Reply {
    /// Writes the reply.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.code as u8, RESERVED];
        put_address(&mut bytes, self.bound);
        bytes
    }
}

fn put_address(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            bytes.push(1);
            bytes.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(4);
            bytes.extend_from_slice(&ip.octets());
        }
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
}

impl Destination {
    /// The destination with one spelling of an address: a name that is an address in text, with or without the brackets
    /// of a URL (RFC 3986, 3.2.2), is that address, and an IPv4-mapped IPv6 address is the IPv4 address. Other spellings,
    /// such as `127.1`, stay names.
    #[must_use]
    pub fn canonical(self) -> Self {
        let address = match &self {
            Self::Address(address) => Some(*address),
            Self::Domain(name, port) => address(name).map(|ip| SocketAddr::new(ip, *port)),
        };
        match address {
            Some(address) => Self::Address(SocketAddr::new(address.ip().to_canonical(), address.port())),
            None => self,
        }
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match bracketed {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => name.parse().ok(),
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Domain(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Reads from the front; `None` if there are too few bytes.
struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.position..self.position + count)?;
        self.position += count;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn port(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn version(&mut self) -> Result<(), WireError> {
        match self.byte() {
            Some(VERSION) | None => Ok(()),
            Some(other) => Err(WireError::Version(other)),
        }
    }

    fn destination(&mut self) -> Result<Option<Destination>, WireError> {
        let ip = match self.byte() {
            None => return Ok(None),
            Some(1) => self.array::<4>().map(IpAddr::from),
            Some(4) => self.array::<16>().map(IpAddr::from),
            Some(3) => return self.domain(),
            Some(other) => return Err(WireError::AddressType(other)),
        };
        let address = ip.and_then(|ip| Some(SocketAddr::new(ip, self.port()?)));
        Ok(address.map(Destination::Address))
    }

    fn domain(&mut self) -> Result<Option<Destination>, WireError> {
        let Some(length) = self.byte() else {
            return Ok(None);
        };
        if length == 0 {
            return Err(WireError::Domain);
        }
        let Some(name) = self.take(usize::from(length)) else {
            return Ok(None);
        };
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err(WireError::Domain);
        }
        let name = String::from_utf8_lossy(name).into_owned();
        Ok(self.port().map(|port| Destination::Domain(name, port)))
    }
}
