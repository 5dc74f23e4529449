//! Opens TCP connections, and tells whose fault it is if one cannot be opened.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use crate::fault::{Fault, Shortage};
use crate::own_rejection::{ignore_errors, is_own_rejection, keep_errors};
use crate::self_connect::is_self_connect;

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(crate) struct DialError {
    pub(crate) fault: Fault,
    pub(crate) source: io::Error,
}

/// Connects to an address, from a source address or from the one that the kernel chooses.
pub(crate) async fn dial(to: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, DialError> {
    let stream = open(to, source).map_err(|error| DialError {
        fault: Fault::of_source(&error, source),
        source: error,
    })?;
    match established(&stream, to, source).await {
        Ok(()) => {
            ignore_errors(&stream, to.is_ipv4());
            Ok(stream)
        }
        Err(error) if is_own_rejection(&stream) => Err(DialError {
            fault: Fault::Own(Shortage::Permission),
            ..error
        }),
        Err(error) => Err(error),
    }
}

fn open(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = socket(to)?;
    keep_errors(&socket, to.is_ipv4());
    if let Some(ip) = source {
        // Ports are chosen by connect(2), which counts them by destination; bind(2) would take one from all of them.
        // On failure (before Linux 4.2) it does.
        let _ = setsockopt(&socket, sockopt::IpBindAddressNoPort, &true);
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    begin(socket, to)
}

/// A socket for a connection to this address.
pub(crate) fn socket(to: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking();
    Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))
}

/// Begins to connect; [`established`] waits until that has succeeded.
pub(crate) fn begin(socket: Socket, to: SocketAddr) -> io::Result<TcpStream> {
    match socket.connect(&to.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => TcpStream::from_std(socket.into()),
    }
}

/// Waits until the connection is established. A destination on this machine or network has often answered by the time
/// connect(2) returns, and then there is nothing to wait for.
pub(crate) async fn established(
    stream: &TcpStream,
    to: SocketAddr,
    source: Option<IpAddr>,
) -> Result<(), DialError> {
    if stream.peer_addr().is_err() {
        let failed = match stream.writable().await {
            Ok(()) => stream.take_error().unwrap_or_else(Some),
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            return Err(DialError {
                fault: Fault::of_connection(&error, source),
                source: error,
            });
        }
    }
    if is_self_connect(stream, to) {
        return Err(DialError {
            fault: Fault::Peer,
            source: io::Error::new(io::ErrorKind::ConnectionRefused, "nothing listens there"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::self_connect::tests::self_connected;

    #[tokio::test]
    async fn a_self_connect_counts_as_refused() {
        let stream = self_connected().await;
        let own = stream.local_addr().unwrap();
        let error = established(&stream, own, None).await.unwrap_err();
        assert_eq!(error.fault, Fault::Peer);
    }

    #[tokio::test]
    async fn a_connection_comes_from_the_source_address() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let source = IpAddr::from([127, 0, 0, 7]);
        let stream = dial(listener.local_addr().unwrap(), Some(source)).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), source);
    }

    #[tokio::test]
    async fn the_fault_of_a_refused_connection_is_the_peers() {
        let held = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = held.local_addr().unwrap();
        drop(held);
        let error = dial(address, None).await.unwrap_err();
        assert_eq!(error.fault, Fault::Peer, "{error}");
    }

    #[tokio::test]
    async fn a_source_address_that_is_gone_is_our_fault() {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let error = dial(to, Some([192, 0, 2, 77].into())).await.unwrap_err();
        assert!(error.fault.is_own(), "{error}");
    }
}
