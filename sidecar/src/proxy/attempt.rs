//! One attempt to connect, in as few system calls and packets as it takes.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::balance::Failure;
use crate::self_connect::is_self_connect;
use crate::serve::is_exhaustion;

/// A connection, and how many of the first bytes went with it.
pub(super) struct Established {
    pub(super) stream: TcpStream,
    pub(super) sent: usize,
}

/// Connects, and sends as much of the first bytes as the connection takes at once.
///
/// Where there are such bytes they confirm the handshake themselves, instead of a packet that does nothing else. A
/// destination on this machine or the next has answered by the time connect(2) returns, and then nothing is waited for.
pub(super) async fn attempt(
    address: SocketAddr,
    deadline: Instant,
    first: &[u8],
) -> Result<Established, Failure> {
    let begun = begin(address, first).and_then(TcpStream::from_std);
    finish(begun.map_err(|e| failure_of(&e))?, address, deadline, first).await
}

async fn finish(
    stream: TcpStream,
    address: SocketAddr,
    deadline: Instant,
    first: &[u8],
) -> Result<Established, Failure> {
    // Only now that all else is done: who has been sent something may act on it, and nobody else is to get it too.
    let sent = send(&stream, first).map_err(|e| failure_of(&e))?;
    if sent == 0 && stream.peer_addr().is_err() {
        match timeout_at(deadline, stream.writable()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failure_of(&error)),
            Err(_) => return Err(Failure::TimedOut),
        }
        if let Some(error) = stream.take_error().unwrap_or_else(Some) {
            return Err(failure_of(&error));
        }
    }
    // Whatever was sent then has reached nobody.
    if is_self_connect(&stream, address) {
        return Err(Failure::Refused);
    }
    Ok(Established { stream, sent })
}

fn begin(address: SocketAddr, first: &[u8]) -> io::Result<std::net::TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if !first.is_empty() {
        // Without it there is a packet more, and no harm.
        let _ = socket.set_tcp_quickack(false);
    }
    match socket.connect(&address.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Sends what the connection takes at once, which is nothing where it does not stand yet.
fn send(stream: &TcpStream, first: &[u8]) -> io::Result<usize> {
    match first {
        [] => Ok(0),
        _ => match SockRef::from(stream).send(first) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            outcome => outcome,
        },
    }
}

fn failure_of(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::TimedOut => Failure::TimedOut,
        // No free local port to this destination, see connect(2).
        _ if is_exhaustion(error) || Errno::from_io_error(error) == Some(Errno::ADDRNOTAVAIL) => {
            Failure::OutOfRoom
        }
        _ => Failure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use std::io::Read;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;
    use crate::self_connect::tests::self_connected;

    /// What it says would come back to it.
    #[tokio::test]
    async fn a_client_is_not_connected_to_itself() {
        for first in [&b""[..], b"hello"] {
            let stream = self_connected().await;
            let address = stream.local_addr().unwrap();
            let deadline = Instant::now() + Duration::from_secs(1);
            let outcome = finish(stream, address, deadline, first).await;
            assert_eq!(outcome.map(|made| made.sent), Err(Failure::Refused));
        }
    }

    /// The next one would get them, too.
    #[test]
    fn an_attempt_that_fails_has_sent_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // Gone, it takes no socket any more, as one that has no room.
        let handle = runtime.handle().clone();
        drop(runtime);
        let _within = handle.enter();
        let deadline = Instant::now() + Duration::from_secs(1);
        let attempt = pin!(attempt(address, deadline, b"pay once"));
        let outcome = attempt.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(outcome, Poll::Ready(Err(_))), "the attempt did not fail");

        let (mut instance, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        // It may also end with a reset.
        let _ = instance.read_to_end(&mut heard);
        assert_eq!(heard, b"");
    }
}
