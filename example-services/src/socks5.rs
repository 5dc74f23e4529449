//! The client's half of SOCKS5 (RFC 1928): CONNECT to a domain name, without authentication.

use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// Why the server gave no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection to the server broke.
    #[error("the connection to the socks5 server broke")]
    Io(#[from] io::Error),
    /// The domain name is empty or longer than the 255 bytes that the protocol has room for.
    #[error("a domain name of {0} bytes cannot be asked for: expected 1 to 255")]
    Domain(usize),
    /// An answer does not begin with the protocol's version.
    #[error("not a socks5 server: its answer begins with {0:#04x} instead of 0x05")]
    Version(u8),
    /// The server does not take a client without authentication.
    #[error("the socks5 server asks for authentication (method {0:#04x})")]
    Method(u8),
    /// The server said no.
    #[error("the socks5 server answered: {0}")]
    Refused(Reply),
    /// The server said yes in an address of a kind that does not exist.
    #[error("the socks5 server's reply has an address of unknown type {0:#04x}")]
    AddressType(u8),
}

/// A reply other than success (RFC 1928 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's own words")]
pub enum Reply {
    GeneralFailure,
    NotAllowed,
    NetworkUnreachable,
    HostUnreachable,
    ConnectionRefused,
    TtlExpired,
    CommandNotSupported,
    AddressTypeNotSupported,
    /// A code that the standard leaves open.
    Unassigned(u8),
}

impl Reply {
    fn from_code(code: u8) -> Self {
        match code {
            1 => Reply::GeneralFailure,
            2 => Reply::NotAllowed,
            3 => Reply::NetworkUnreachable,
            4 => Reply::HostUnreachable,
            5 => Reply::ConnectionRefused,
            6 => Reply::TtlExpired,
            7 => Reply::CommandNotSupported,
            8 => Reply::AddressTypeNotSupported,
            other => Reply::Unassigned(other),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, code) = match *self {
            Reply::GeneralFailure => ("general failure", 1),
            Reply::NotAllowed => ("connection not allowed by its rules", 2),
            Reply::NetworkUnreachable => ("network unreachable", 3),
            Reply::HostUnreachable => ("host unreachable", 4),
            Reply::ConnectionRefused => ("connection refused", 5),
            Reply::TtlExpired => ("time to live expired", 6),
            Reply::CommandNotSupported => ("command not supported", 7),
            Reply::AddressTypeNotSupported => ("address type not supported", 8),
            Reply::Unassigned(code) => ("an unassigned code", code),
        };
        write!(f, "{words} ({code:#04x})")
    }
}

/// Asks the server at the other end of `stream` for a connection to `domain`:`port`. After that the stream
/// is the connection: no byte of what follows the reply has been read. The time is the caller's to bound.
///
/// # Errors
/// The server refuses, or what it says is not SOCKS5.
pub async fn connect<S>(stream: &mut S, domain: &str, port: u16) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(domain, port)?;
    stream.write_all(&[VERSION, 1, NO_AUTHENTICATION]).await?;
    let [version, method] = read(stream).await?;
    check_version(version)?;
    if method != NO_AUTHENTICATION {
        return Err(Error::Method(method));
    }

    stream.write_all(&request).await?;
    // A refusal may be cut short after its code, so the code is judged before more is awaited.
    let [version, code] = read(stream).await?;
    check_version(version)?;
    if code != 0 {
        return Err(Error::Refused(Reply::from_code(code)));
    }
    let [_reserved, address_type] = read(stream).await?;
    let bound = match address_type {
        IPV4 => 4,
        IPV6 => 16,
        DOMAIN => usize::from(read::<_, 1>(stream).await?[0]),
        other => return Err(Error::AddressType(other)),
    };
    // The address that the server connected from, of no use here: at most a domain name and a port.
    let mut rest = [0; 255 + 2];
    stream.read_exact(&mut rest[..bound + 2]).await?;
    Ok(())
}

/// The CONNECT request for a domain name (RFC 1928 section 4).
fn request(domain: &str, port: u16) -> Result<Vec<u8>, Error> {
    let length = u8::try_from(domain.len())
        .ok()
        .filter(|&n| n > 0)
        .ok_or(Error::Domain(domain.len()))?;
    let mut bytes = vec![VERSION, CONNECT, 0, DOMAIN, length];
    bytes.extend_from_slice(domain.as_bytes());
    bytes.extend_from_slice(&port.to_be_bytes());
    Ok(bytes)
}

fn check_version(version: u8) -> Result<(), Error> {
    if version == VERSION {
        Ok(())
    } else {
        Err(Error::Version(version))
    }
}

async fn read<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
