//! Beginning and end of the TCP connections on which the sidecar itself answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How long to wait before the next accept when the system has nothing to accept with.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long, and for how many bytes, a peer is listened to that is to get the last word.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// The next connection. What keeps one from being accepted passes, and is waited for.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Says the last word, ends our side and takes in what the peer still sends, all within bounds: closing with bytes unread
/// would reset the connection, and the reset would overtake the last word.
pub(crate) async fn lingering_close(stream: &mut TcpStream, last: &[u8]) -> io::Result<()> {
    let farewell = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut left = LINGER_BYTES;
        let mut ignored = [0; 1024];
        while left > 0 {
            match stream.read(&mut ignored).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok(())
    };
    timeout(LINGER, farewell).await.unwrap_or(Ok(()))
}
