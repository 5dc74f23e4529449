//! The accept loop of every TCP server in the program: proxy listeners, the HTTP and RESP controllers, the status listener
//! and discovery exchanges.
//!
//! Each connection is served by its own task, spawned before anything is awaited from the peer, so that a slow client
//! does not delay others. A server limits its connections ([`Serve::permit`]) and rejects individual ones
//! ([`Serve::admit`]).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault::Fault;
use crate::limits::Descriptors;

/// First pause after accept(2) failed for a fault of ours; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause after accept(2) failed for a fault of ours.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Connections accepted in a row before the loop yields. Lower serves open connections sooner and spreads a burst over
/// more workers; higher costs fewer wake-ups.
const ACCEPTS_PER_TURN: usize = 4;

/// A TCP server.
pub(crate) trait Serve: Send + Sync + 'static {
    /// What a connection holds from before it is accepted until it ends.
    type Permit: Send + 'static;

    /// Waits until one more connection may be accepted; until then it waits in the kernel's backlog.
    fn permit(&self) -> impl Future<Output = Self::Permit> + Send;

    /// Waits until the budget has descriptors for an accepted connection. Only after it was accepted: otherwise idle
    /// listeners would hold the budget, each for a connection that may never come.
    fn descriptors(&self) -> impl Future<Output = Descriptors> + Send;

    /// Takes an accepted connection without waiting. Returns the task that serves it to its end, or `None` after
    /// rejecting it.
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        held: (Self::Permit, Descriptors),
    ) -> Option<impl Future<Output = ()> + Send + 'static>;
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
        let permit = server.permit().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = MIN_PAUSE;
                let descriptors = server.descriptors().await;
                if let Some(task) = server.admit(stream, peer, (permit, descriptors)) {
                    connections.spawn(task);
                }
                accepted += 1;
                if accepted.is_multiple_of(ACCEPTS_PER_TURN) {
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if Fault::of(&error).is_own() => {
                drop(permit);
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

/// Serves the connections in the backlog, as long as `take` gives what they hold: closing the listener would reset them.
pub(crate) fn serve_backlog<S: Serve>(
    listener: &TcpListener,
    server: &S,
    take: impl Fn() -> Option<(S::Permit, Descriptors)>,
    connections: &TaskTracker,
) {
    while let Some(held) = take() {
        match accept_now(listener) {
            Ok((stream, peer)) => {
                if let Some(task) = server.admit(stream, peer, held) {
                    connections.spawn(task);
                }
            }
            // This connection is gone; the next one may be alive.
            Err(error) if Fault::of(&error) == Fault::Peer => {}
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
