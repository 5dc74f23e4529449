//! A client connection, direct or through a SOCKS5 server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use crate::request::BackendRequest;

/// Timeout for each connect, read and write.
const IO_TIMEOUT: Duration = Duration::from_secs(5);
/// Size of the block that responses are read into, in bytes.
const BLOCK: usize = 256 * 1024;
const TOO_LONG: &str = "the response is longer than requested";

/// The destination of a client's connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Address to connect to.
    pub address: SocketAddr,
    /// The destination to request, if `address` is a SOCKS5 server.
    pub socks5_destination: Option<Socks5Destination>,
}

/// The destination of a SOCKS5 request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Socks5Destination {
    /// An IP address and a port.
    Address(SocketAddr),
    /// A domain name of at most 255 bytes, and a port.
    Name(String, u16),
}

impl Target {
    /// Opens a connection, through the SOCKS5 server if there is one.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_read_timeout(Some(IO_TIMEOUT))?;
        socket.set_write_timeout(Some(IO_TIMEOUT))?;
        socket.connect(&self.address.into())?;
        let mut stream = TcpStream::from(socket);
        if let Some(destination) = &self.socks5_destination {
            destination.request(&mut stream)?;
        }
        Ok(stream)
    }

    /// Sends `request` on a new connection and reads the response into `block`. Returns the connection.
    pub(super) fn exchange(&self, request: BackendRequest, block: &mut [u8]) -> io::Result<TcpStream> {
        let mut stream = self.connect()?;
        request.write(&mut stream)?;
        let mut left = request.response_bytes;
        while left > 0 {
            match stream.read(block)? as u64 {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length if length > left => return Err(io::Error::other(TOO_LONG)),
                length => left -= length,
            }
        }
        if !request.keep_open && stream.read(block)? > 0 {
            return Err(io::Error::other(TOO_LONG));
        }
        Ok(stream)
    }

    /// Whether the backend answers a short request.
    pub fn answers(&self) -> bool {
        self.exchange(BackendRequest::SHORT, &mut new_block()).is_ok()
    }
}

pub(super) fn new_block() -> Vec<u8> {
    vec![0; BLOCK]
}

impl Socks5Destination {
    /// The client's side of the SOCKS5 handshake (RFC 1928), without authentication.
    fn request(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        stream.write_all(&[5, 1, 0])?;
        let mut method = [0; 2];
        stream.read_exact(&mut method)?;
        if method != [5, 0] {
            return Err(io::Error::other("the socks5 server refused the method"));
        }
        stream.write_all(&self.connect_request())?;
        let mut head = [0; 4];
        stream.read_exact(&mut head)?;
        if head[1] != 0 {
            return Err(io::Error::other(format!(
                "the socks5 server answered {:#04x}",
                head[1]
            )));
        }
        let address = match head[3] {
            1 => 4,
            4 => 16,
            other => {
                return Err(io::Error::other(format!(
                    "the socks5 server bound an address of unknown type {other}"
                )));
            }
        };
        // Cannot read a byte of the response: the backend sends nothing before the request.
        stream.read_exact(&mut [0; 18][..address + 2])
    }

    fn connect_request(&self) -> Vec<u8> {
        let mut request = vec![5, 1, 0];
        let port = match self {
            Self::Address(SocketAddr::V4(address)) => {
                request.push(1);
                request.extend(address.ip().octets());
                address.port()
            }
            Self::Address(SocketAddr::V6(address)) => {
                request.push(4);
                request.extend(address.ip().octets());
                address.port()
            }
            Self::Name(name, port) => {
                let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
                request.extend([3, length]);
                request.extend(name.bytes().take(usize::from(length)));
                *port
            }
        };
        request.extend(port.to_be_bytes());
        request
    }
}

/// Whether the error is that the machine is out of ports, descriptors or socket memory.
pub fn exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kinds = [Errno::ADDRNOTAVAIL, Errno::MFILE, Errno::NFILE, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| kinds.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that reads from `received` and records the bytes that are written.
    struct Scripted<'a> {
        received: &'a [u8],
        sent: Vec<u8>,
    }

    impl Read for Scripted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.received.read(buffer)
        }
    }

    impl Write for Scripted<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn request(destination: &Socks5Destination, received: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let mut stream = Scripted {
            received,
            sent: Vec::new(),
        };
        let result = destination.request(&mut stream);
        (result, stream.sent)
    }

    #[test]
    fn a_destination_is_encoded_as_in_rfc_1928() {
        let granted = [5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
        let address = Socks5Destination::Address("127.0.0.9:258".parse().unwrap());
        let (result, sent) = request(&address, &granted);
        assert!(result.is_ok());
        assert_eq!(sent, [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 9, 1, 2]);
        let (result, sent) = request(&Socks5Destination::Name("ab".to_owned(), 80), &granted);
        assert!(result.is_ok());
        assert_eq!(sent[3..], [5, 1, 0, 3, 2, b'a', b'b', 0, 80]);
    }

    #[test]
    fn a_refusal_is_an_error() {
        let address = Socks5Destination::Address("[::1]:1".parse().unwrap());
        for received in [
            &[5, 255][..],
            &[5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0],
            &[5, 0, 5, 0, 0, 9, 0],
            &[5, 0, 5, 0, 0, 1, 127],
            &[],
        ] {
            assert!(request(&address, received).0.is_err(), "{received:?}");
        }
    }

    #[test]
    fn only_a_lack_of_local_resources_is_exhaustion() {
        use rustix::io::Errno;
        assert!(exhausted(&Errno::ADDRNOTAVAIL.into()));
        assert!(!exhausted(&Errno::CONNREFUSED.into()));
        assert!(!exhausted(&io::Error::other("refused")));
    }
}
