//! One attempt to connect, in as few system calls and packets as it takes.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::accept::out_of_room;
use crate::balance::Failure;

/// A connection, and how many of the first bytes went with it.
pub(super) struct Made {
    pub(super) stream: TcpStream,
    pub(super) sent: usize,
}

/// Connects, and sends as much of the first bytes as the connection takes at once.
///
/// Where there are such bytes they confirm the handshake themselves, instead of a packet that does nothing else. A
/// destination on this machine or the next has answered by the time connect(2) returns, and then nothing is waited for.
pub(super) async fn attempt(address: SocketAddr, deadline: Instant, first: &[u8]) -> Result<Made, Failure> {
    let (socket, sent) = begin(address, first).map_err(|e| failure_of(&e))?;
    let stands = sent > 0 || socket.peer_addr().is_ok();
    let stream = TcpStream::from_std(socket.into()).map_err(|e| failure_of(&e))?;
    if !stands {
        match timeout_at(deadline, stream.writable()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failure_of(&error)),
            Err(_) => return Err(Failure::TimedOut),
        }
        if let Some(error) = stream.take_error().unwrap_or_else(Some) {
            return Err(failure_of(&error));
        }
    }
    Ok(Made { stream, sent })
}

fn begin(address: SocketAddr, first: &[u8]) -> io::Result<(Socket, usize)> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if !first.is_empty() {
        // Without it there is a packet more, and no harm.
        let _ = socket.set_tcp_quickack(false);
    }
    match socket.connect(&address.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => return Err(error),
        _ => {}
    }
    let sent = match first {
        [] => 0,
        _ => match socket.send(first) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            outcome => outcome?,
        },
    };
    Ok((socket, sent))
}

fn failure_of(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::TimedOut => Failure::TimedOut,
        // No free local port to this destination, see connect(2).
        _ if out_of_room(error) || Errno::from_io_error(error) == Some(Errno::ADDRNOTAVAIL) => {
            Failure::OutOfRoom
        }
        _ => Failure::Unreachable,
    }
}
