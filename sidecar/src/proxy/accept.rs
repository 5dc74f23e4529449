//! The accept loop: takes connections within the cap, turns away whom the security group denies, and gives
//! each of the others a task of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::SemaphorePermit;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::connection::Connection;
use super::listener::Shared;
use super::refusal::Refusal;

/// The first and the longest pause after the system had no room for a connection.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Connections that are accepted before those that are open have their turn. Of a burst, the other workers take the rest
/// meanwhile: who took it whole would serve the last of it late.
const IN_A_ROW: usize = 4;

/// What is done with the connections of a listener.
pub(super) trait Serve: Send + Sync + 'static {
    /// Serves one connection to its end.
    fn serve(self: Arc<Self>, client: TcpStream, connection: Connection) -> impl Future<Output = ()> + Send;
}

pub(super) struct Accept<S> {
    pub(super) listener: TcpListener,
    /// The address that it is bound to.
    pub(super) local: SocketAddr,
    pub(super) service: Arc<S>,
    pub(super) connections: TaskTracker,
    pub(super) shared: Arc<Shared>,
}

impl<S: Serve> Accept<S> {
    pub(super) async fn run(&self) {
        let mut pause = PAUSE.0;
        let mut taken = 0_usize;
        loop {
            let Ok(permit) = self.shared.permits.acquire().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((client, peer)) => {
                    pause = PAUSE.0;
                    self.take(client, peer, permit);
                    taken += 1;
                    if taken.is_multiple_of(IN_A_ROW) {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if out_of_room(&error) => {
                    if pause == PAUSE.0 {
                        tracing::warn!(error = %error, "no room to accept a connection, pausing");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
                // The peer's affair: it was gone before we accepted (accept(2) lists what is passed on).
                Err(error) => {
                    tracing::debug!(error = %error, "a connection ended before it was accepted");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Takes the connections that the kernel has made for us already: closing would reset them.
    pub(super) fn take_waiting(&self) {
        while let Ok(permit) = self.shared.permits.try_acquire() {
            let taken = SockRef::from(&self.listener).accept().and_then(|(client, peer)| {
                client.set_nonblocking(true)?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::Unsupported)?;
                Ok((TcpStream::from_std(client.into())?, peer))
            });
            match taken {
                Ok((client, peer)) => self.take(client, peer, permit),
                // It was gone before we accepted it; those behind it are not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => return,
            }
        }
    }

    fn take(&self, client: TcpStream, peer: SocketAddr, permit: SemaphorePermit<'_>) {
        self.shared.counters.established();
        let peer = canonical(peer);
        let span = tracing::debug_span!("connection", %peer, listener = %self.local);
        if self.shared.denies(peer.ip(), self.local.port()) {
            self.shared.refusals.count(Refusal::Denied);
            // It ends as if nobody listened here. Where that fails, the client is gone already.
            let _ = client.set_zero_linger();
            span.in_scope(|| {
                tracing::debug!(%peer, reason = "denied by the security group", "connection got nowhere");
            });
            return;
        }
        let local = self.local_of(&client);
        permit.forget();
        let connection = Connection::begin(peer, local, Arc::clone(&self.shared));
        let serving = Arc::clone(&self.service).serve(client, connection);
        self.connections.spawn(serving.instrument(span));
    }

    /// Our address on the client's side; the system is asked only where the listener's own does not tell.
    fn local_of(&self, client: &TcpStream) -> SocketAddr {
        if self.local.ip().is_unspecified() {
            client.local_addr().map_or(self.local, canonical)
        } else {
            self.local
        }
    }
}

/// Without the IPv6 dress of an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether it is a lack of descriptors or memory, of this process or the system: it passes when something
/// ends, and trying again at once would only burn the processor.
pub(super) fn out_of_room(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
