//! Closes a connection so that the peer gets the last bytes sent to it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Timeout for the whole close.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes read and discarded at most before the connection is closed anyway.
const MAX_DROPPED_BYTES: usize = 16 * 1024 * 1024;

/// Sends `last`, ends our side, and discards what the peer still sends until it closes. Closing with unread bytes
/// would reset the connection, and the reset may overtake `last`.
pub(crate) async fn lingering_close(stream: &mut TcpStream, last: &[u8]) -> io::Result<()> {
    let close = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut left = MAX_DROPPED_BYTES;
        let mut dropped = vec![0; 16 * 1024];
        while left > 0 {
            match stream.read(&mut dropped).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok(())
    };
    timeout(TIMEOUT, close).await.unwrap_or(Ok(()))
}
