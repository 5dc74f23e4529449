//! One attempt to connect to an address, with as few system calls and packets as possible.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::buffers;
use crate::dial::{self, established};
use crate::fault::Fault;
use crate::self_connect::is_self_connect;

/// An established connection.
pub(super) struct Established {
    pub(super) stream: TcpStream,
    /// Bytes of the initial data that were sent.
    pub(super) sent: usize,
}

/// Connects, and sends as much of the initial data as the socket takes at once.
///
/// The initial data goes with the handshake's ACK, which saves a packet. A destination on this machine or network has
/// answered by the time connect(2) returns, and then there is nothing to wait for.
pub(super) async fn attempt(
    address: SocketAddr,
    deadline: Instant,
    initial: &[u8],
) -> Result<Established, Fault> {
    let stream = begin(address, initial).map_err(|error| Fault::of(&error))?;
    finish(stream, address, deadline, initial).await
}

async fn finish(
    stream: TcpStream,
    address: SocketAddr,
    deadline: Instant,
    initial: &[u8],
) -> Result<Established, Fault> {
    // Last, after everything else that can fail: the instance may act on the data, so no other instance may get it
    // too.
    let sent = send(&stream, initial).map_err(|error| Fault::of_connection(&error, None))?;
    if sent == 0 {
        match timeout_at(deadline, established(&stream, address, None)).await {
            Ok(outcome) => outcome.map_err(|error| error.fault)?,
            Err(_) => return Err(Fault::TimedOut),
        }
    } else if is_self_connect(&stream, address) {
        // Data sent to ourselves has reached no instance.
        return Err(Fault::Peer);
    }
    Ok(Established { stream, sent })
}

fn begin(address: SocketAddr, initial: &[u8]) -> io::Result<TcpStream> {
    let socket = dial::socket(address)?;
    socket.set_tcp_nodelay(true)?;
    buffers::bound(&socket);
    if !initial.is_empty() {
        // On failure there is one more packet.
        let _ = socket.set_tcp_quickack(false);
    }
    dial::begin(socket, address)
}

/// Sends what the socket takes at once; nothing if it is not connected yet.
fn send(stream: &TcpStream, initial: &[u8]) -> io::Result<usize> {
    match initial {
        [] => Ok(0),
        _ => match SockRef::from(stream).send(initial) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            outcome => outcome,
        },
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

    #[tokio::test]
    async fn a_self_connect_counts_as_refused() {
        for initial in [&b""[..], b"hello"] {
            let stream = self_connected().await;
            let address = stream.local_addr().unwrap();
            let deadline = Instant::now() + Duration::from_secs(1);
            let outcome = finish(stream, address, deadline, initial).await;
            assert_eq!(outcome.map(|established| established.sent), Err(Fault::Peer));
        }
    }

    /// Otherwise two instances could receive the data.
    #[test]
    fn a_failed_attempt_has_sent_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // A runtime that is shutting down registers no sockets, as one that is out of descriptors.
        let handle = runtime.handle().clone();
        drop(runtime);
        let _within = handle.enter();
        let deadline = Instant::now() + Duration::from_secs(1);
        let attempt = pin!(attempt(address, deadline, b"pay once"));
        let outcome = attempt.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(outcome, Poll::Ready(Err(_))), "the attempt did not fail");

        let (mut instance, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        // The stream may end with a reset.
        let _ = instance.read_to_end(&mut received);
        assert_eq!(received, b"");
    }
}
