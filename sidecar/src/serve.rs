//! The accept loop of every TCP server in the program: proxy listeners, the HTTP and RESP controllers, the status listener
//! and discovery exchanges.
//!
//! Each connection is served by its own task, spawned before anything is awaited from the peer, so that a slow client
//! does not delay others. A server limits its connections ([`Serve::permits`]) and rejects individual ones
//! ([`Serve::admit`]).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// First pause after accept(2) failed for lack of descriptors or memory; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause after accept(2) failed for lack of descriptors or memory.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Connections accepted in a row before the loop yields. Lower serves open connections sooner and spreads a burst over
/// more workers; higher costs fewer wake-ups.
const ACCEPTS_PER_TURN: usize = 4;

/// A TCP server.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Takes an accepted connection without waiting. Returns the task that serves it to its end, or `None` after
    /// rejecting it.
    fn admit(&self, stream: TcpStream, peer: SocketAddr)
    -> Option<impl Future<Output = ()> + Send + 'static>;

    /// Permits for connections; while there is none, further connections wait in the kernel's backlog. The server
    /// adds a permit when an admitted connection ends. `None` if [`Serve::admit`] alone sets the limit.
    fn permits(&self) -> Option<&Semaphore> {
        None
    }
}

/// Accepts connections until `stop` is cancelled, and spawns their tasks on `connections`.
pub(crate) async fn serve(
    listener: &TcpListener,
    server: &impl Serve,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    stop.run_until_cancelled(accept_loop(listener, server, connections))
        .await;
}

async fn accept_loop(listener: &TcpListener, server: &impl Serve, connections: &TaskTracker) {
    let mut pause = MIN_PAUSE;
    let mut accepted = 0_usize;
    loop {
        let permit = match server.permits() {
            Some(permits) => match permits.acquire().await {
                Ok(permit) => Some(permit),
                Err(_) => return,
            },
            None => None,
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = MIN_PAUSE;
                if let Some(task) = server.admit(stream, peer) {
                    // The server adds it again.
                    permit.into_iter().for_each(SemaphorePermit::forget);
                    connections.spawn(task);
                }
                accepted += 1;
                if accepted.is_multiple_of(ACCEPTS_PER_TURN) {
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_exhaustion(&error) => {
                if pause == MIN_PAUSE {
                    tracing::warn!(%error, "cannot accept connections, retrying");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
            // Errors of a connection that ended before it was accepted, see accept(2).
            Err(error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Serves the connections in the backlog, up to the server's permits: closing the listener would reset them.
pub(crate) fn serve_backlog(listener: &TcpListener, server: &impl Serve, connections: &TaskTracker) {
    loop {
        let permit = match server.permits().map(Semaphore::try_acquire).transpose() {
            Ok(permit) => permit,
            Err(_) => return,
        };
        match accept_now(listener) {
            Ok((stream, peer)) => {
                if let Some(task) = server.admit(stream, peer) {
                    permit.into_iter().for_each(SemaphorePermit::forget);
                    connections.spawn(task);
                }
            }
            // This connection is gone; the next one may be alive.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return,
        }
    }
}

/// Accepts without waiting for the runtime to report the listener as readable.
fn accept_now(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = SockRef::from(listener).accept()?;
    stream.set_nonblocking(true)?;
    let peer = peer.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    Ok((TcpStream::from_std(stream.into())?, peer))
}

/// Waits until all connections have ended. Returns whether they did within `limit`.
pub(crate) async fn drained(connections: &TaskTracker, limit: Duration) -> bool {
    connections.close();
    tokio::time::timeout(limit, connections.wait()).await.is_ok()
}

/// Whether this process or the system lacks descriptors or memory. That passes when something else ends; retrying at
/// once would only waste CPU time.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
