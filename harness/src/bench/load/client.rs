//! One connection, through a proxy or not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use crate::bench::wire::Order;

/// Time without any progress after which a connection has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a connection that carries much is read in.
const BLOCK: usize = 256 * 1024;

/// Whom a client connects to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it connects to.
    pub address: SocketAddr,
    /// What it asks for there, if that is a SOCKS5 server.
    pub destination: Option<Destination>,
}

/// What a SOCKS5 server is asked to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// An address.
    Address(SocketAddr),
    /// A name of at most 255 bytes, and a port.
    Name(String, u16),
}

impl Route {
    /// A connection on which the destination can be spoken to.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.connect(&self.address.into())?;
        let mut stream = TcpStream::from(socket);
        if let Some(destination) = &self.destination {
            destination.request(&mut stream)?;
        }
        Ok(stream)
    }

    /// Does `order` on a connection of its own, and returns that.
    pub(super) fn ask(&self, order: Order, block: &mut [u8]) -> io::Result<TcpStream> {
        let mut stream = self.connect()?;
        order.write(&mut stream)?;
        let mut left = order.bytes;
        while left > 0 {
            match stream.read(block)? as u64 {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                more if more > left => return Err(io::Error::other("more came than was asked for")),
                some => left -= some,
            }
        }
        if !order.keep && stream.read(block)? > 0 {
            return Err(io::Error::other("more came than was asked for"));
        }
        Ok(stream)
    }

    /// Whether the backend answers on this route.
    pub fn answers(&self) -> bool {
        self.ask(Order::SMALL, &mut block()).is_ok()
    }
}

pub(super) fn block() -> Vec<u8> {
    vec![0; BLOCK]
}

impl Destination {
    /// The client's part of RFC 1928 without authentication.
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
                    "the socks5 server bound an address of type {other}"
                )));
            }
        };
        // No proxy sends more before it is asked, so nothing of the answer can be lost here.
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

/// Whether the machine had no more ports, descriptors or memory for sockets: EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS.
pub(super) fn exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kinds = [Errno::ADDRNOTAVAIL, Errno::MFILE, Errno::NFILE, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| kinds.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream with a script of what comes.
    struct Scripted<'a> {
        comes: &'a [u8],
        sent: Vec<u8>,
    }

    impl Read for Scripted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.comes.read(buffer)
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

    fn request(destination: &Destination, comes: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let mut stream = Scripted {
            comes,
            sent: Vec::new(),
        };
        let result = destination.request(&mut stream);
        (result, stream.sent)
    }

    #[test]
    fn a_destination_is_asked_for_as_the_standard_says() {
        let granted = [5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
        let address = Destination::Address("127.0.0.9:258".parse().unwrap());
        let (result, sent) = request(&address, &granted);
        assert!(result.is_ok());
        assert_eq!(sent, [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 9, 1, 2]);
        let (result, sent) = request(&Destination::Name("ab".to_owned(), 80), &granted);
        assert!(result.is_ok());
        assert_eq!(sent[3..], [5, 1, 0, 3, 2, b'a', b'b', 0, 80]);
    }

    #[test]
    fn a_refusal_is_a_failure() {
        let address = Destination::Address("[::1]:1".parse().unwrap());
        for comes in [
            &[5, 255][..],
            &[5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0],
            &[5, 0, 5, 0, 0, 9, 0],
            &[5, 0, 5, 0, 0, 1, 127],
            &[],
        ] {
            assert!(request(&address, comes).0.is_err(), "{comes:?}");
        }
    }

    #[test]
    fn only_the_machines_shortage_is_exhaustion() {
        use rustix::io::Errno;
        assert!(exhausted(&Errno::ADDRNOTAVAIL.into()));
        assert!(!exhausted(&Errno::CONNREFUSED.into()));
        assert!(!exhausted(&io::Error::other("refused")));
    }
}
