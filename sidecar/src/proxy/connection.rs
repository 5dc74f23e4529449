//! One accepted connection from its beginning to the one line about it at its end.

use std::fmt::Display;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use tokio::net::TcpStream;

use super::connect::Connected;
use super::listener::Shared;
use super::refusal::Refusal;
use super::relay::{End, InitialData, Summary, relay};
use super::session::Session;
use crate::balance::Direction;

/// An accepted connection, owned by its task; it counts as active until this is dropped.
pub(super) struct Connection {
    session: Arc<Session>,
    listener: Arc<Shared>,
}

impl Connection {
    /// Counts it as active from now on; the permit that it was accepted with is returned at its end.
    pub(super) fn begin(client: SocketAddr, local: SocketAddr, listener: Arc<Shared>) -> Self {
        listener.counters.open();
        Self {
            session: listener.sessions.begin(client, local),
            listener,
        }
    }

    /// The client's address.
    pub(super) fn peer(&self) -> SocketAddr {
        self.session.client
    }

    /// Notes where the client wants to go.
    pub(super) fn set_destination(&self, destination: Arc<str>) {
        self.session.set_destination(destination);
    }

    /// Where the client wants to go; empty until that is known.
    pub(super) fn destination(&self) -> &str {
        self.session.destination()
    }

    /// Does the work unless the connection is cut before it is done.
    pub(super) async fn unless_aborted<T>(&self, work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.session.aborted() => None,
            done = work => Some(done),
        }
    }

    /// Relays to the end.
    ///
    /// Everything is taken apart before the future begins, which would else keep it twice for as long as it lasts.
    pub(super) fn carry(
        self,
        client: TcpStream,
        to: Connected,
        initial: Vec<u8>,
    ) -> impl Future<Output = ()> + Send {
        let Connected {
            stream,
            address,
            lease,
            sent,
        } = to;
        let instance = Arc::new(stream);
        self.session.set_reached(&instance, address, lease.as_ref());
        let initial = InitialData { bytes: initial, sent };
        async move {
            let (session, lease) = (&*self.session, lease.as_ref());
            let cut = pin!(async {
                let lost = async {
                    match lease {
                        Some(lease) => lease.down().await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = session.aborted() => End::Aborted,
                    () = lost => End::EndpointDown,
                }
            });
            let idle = self.listener.limits.idle;
            let meter = |direction, bytes| {
                self.moved(direction, bytes);
                if let Some(lease) = lease {
                    lease.moved(direction, bytes);
                }
            };
            let summary = relay(&client, &instance, initial, idle, cut, meter).await;
            drop((client, instance));
            let Summary {
                to_instance,
                to_client,
                end,
            } = summary;
            tracing::debug!(
                peer = %session.client,
                destination = %session.destination(),
                instance = %address,
                server = lease.map(|lease| lease.server().name()),
                to_instance,
                to_client,
                duration_ms = self.age_ms(),
                reason = %end,
                "connection ended"
            );
        }
    }

    /// Ends a connection that got nowhere with a reset.
    pub(super) fn reset(self, client: TcpStream, refusal: Refusal, why: &impl Display) {
        // Where it fails, the client is gone already.
        let _ = client.set_zero_linger();
        drop(client);
        self.refused(refusal, why);
    }

    /// Counts and logs that it got nowhere.
    pub(super) fn refused(self, refusal: Refusal, why: &impl Display) {
        self.listener.refusals.count(refusal);
        tracing::debug!(
            peer = %self.session.client,
            destination = %self.session.destination(),
            duration_ms = self.age_ms(),
            reason = %why,
            "connection got nowhere"
        );
    }

    fn moved(&self, direction: Direction, bytes: u64) {
        self.listener.counters.moved(direction, bytes);
        self.session.moved(direction, bytes);
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.session.age().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.listener.sessions.end(&self.session);
        self.listener.counters.close();
        self.listener.permits.add_permits(1);
    }
}
