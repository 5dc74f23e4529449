//! Detects self-connects. A connection to a local port without a listener succeeds about once in 28,000 attempts,
//! when the kernel chooses that port for our side: both ends are then the same socket (simultaneous open, RFC 9293,
//! section 3.5), and the bytes sent come back.

use std::net::SocketAddr;

use tokio::net::TcpStream;

/// Whether the connection is connected to itself.
pub(crate) fn is_self_connect(stream: &TcpStream, to: SocketAddr) -> bool {
    // The port alone decides nearly every case, with one system call.
    let own = stream.local_addr().ok().filter(|own| own.port() == to.port());
    own.is_some_and(|own| stream.peer_addr().is_ok_and(|peer| peer == own))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// Opens a connection to itself.
    pub(crate) async fn self_connected() -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        socket.connect(own).await.unwrap()
    }

    #[tokio::test]
    async fn a_self_connect_is_distinguished_from_a_connection_to_a_listener() {
        let stream = self_connected().await;
        assert!(is_self_connect(&stream, stream.peer_addr().unwrap()));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!is_self_connect(&other, other.peer_addr().unwrap()));
    }
}
