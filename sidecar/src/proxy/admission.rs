//! Admits a listener's accepted connections: the security group decides, and a task serves each admitted connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tracing::Instrument;

use super::connection::Connection;
use super::refusal::Refusal;
use super::shared::{Permit, Shared};
use crate::limits::{BUDGET, Descriptors};
use crate::serve::Serve;

/// The service that a listener offers to its connections.
pub(super) trait Handle: Send + Sync + 'static {
    /// Serves one connection to its end.
    fn handle(self: Arc<Self>, client: TcpStream, connection: Connection) -> impl Future<Output = ()> + Send;
}

/// One listener's side of the accept loop.
pub(super) struct Admission<H> {
    /// The address the listener is bound to.
    pub(super) local: SocketAddr,
    pub(super) handler: Arc<H>,
    pub(super) shared: Arc<Shared>,
}

impl<H: Handle> Serve for Admission<H> {
    type Permit = Permit;

    async fn permit(&self) -> Permit {
        self.shared.permit(self.local).await
    }

    async fn descriptors(&self) -> Descriptors {
        BUDGET.relayed().await
    }

    fn admit(
        &self,
        client: TcpStream,
        peer: SocketAddr,
        (permit, descriptors): (Permit, Descriptors),
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.shared.counters.established();
        let peer = canonical(peer);
        let span = tracing::debug_span!("connection", %peer, listener = %self.local);
        let refuse = |refusal: Refusal, reason: &str| {
            self.shared.refusals.count(refusal);
            // A reset, as if nothing listened here. On failure the client has already disconnected.
            let _ = client.set_zero_linger();
            span.in_scope(|| tracing::debug!(%peer, reason, "connection refused"));
        };
        if self.shared.denies(peer.ip(), self.local.port()) {
            refuse(Refusal::Denied, "denied by the security group");
            return None;
        }
        let local = self.local_of(&client);
        if let Err(refusal) = self.shared.enter(peer.ip(), local) {
            refuse(refusal, "too many connections of its client");
            return None;
        }
        let connection = Connection::begin(peer, local, permit, descriptors);
        let handling = Arc::clone(&self.handler).handle(client, connection);
        Some(handling.instrument(span))
    }
}

impl<H> Admission<H> {
    /// The local address of a client's connection; costs a system call only on a listener bound to the unspecified
    /// address.
    fn local_of(&self, client: &TcpStream) -> SocketAddr {
        if self.local.ip().is_unspecified() {
            client.local_addr().map_or(self.local, canonical)
        } else {
            self.local
        }
    }
}

/// Converts an IPv4-mapped IPv6 address to IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
