//! An accepted connection, from its start to the log line at its end.

use std::fmt::Display;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::connect::{ConnectError, Connected, OnFailure};
use super::hold::{Backend, Client, Release};
use super::refusal::Refusal;
use super::relay::{End, InitialData, Summary, relay};
use super::session::Session;
use super::shared::{Permit, Shared};
use crate::balance::Direction;
use crate::limits::Descriptors;

/// An accepted connection, owned by its task. It counts as active until this is dropped.
pub(super) struct Connection {
    session: Arc<Session>,
    listener: Permit,
    /// It was held, and its endpoint has not answered yet.
    release: Option<Release>,
    /// The instance that it is connected to.
    instance: Option<SocketAddr>,
    _descriptors: Descriptors,
}

impl Connection {
    /// Starts a connection, whose client is counted. Its permit and descriptors are returned when this is dropped.
    pub(super) fn begin(
        client: SocketAddr,
        local: SocketAddr,
        listener: Permit,
        descriptors: Descriptors,
    ) -> Self {
        listener.counters.open();
        Self {
            session: listener.sessions.begin(client, local),
            listener,
            release: None,
            instance: None,
            _descriptors: descriptors,
        }
    }

    /// What it shares with the other connections of its listener.
    pub(super) fn listener(&self) -> &Arc<Shared> {
        self.listener.shared()
    }

    /// Cancelled when its listener stops.
    pub(super) fn draining(&self) -> CancellationToken {
        self.listener.stop.clone()
    }

    /// Whether its listener has stopped.
    pub(super) fn is_draining(&self) -> bool {
        self.listener.stop.is_cancelled()
    }

    /// Time without a byte after which it ends; zero is none.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.listener.idle()
    }

    /// The client's address.
    pub(super) fn peer(&self) -> SocketAddr {
        self.session.client
    }

    /// Connects its client to an endpoint, for which it may be held. A `silent` client could have sent something, and has
    /// not.
    pub(super) async fn connect(
        &self,
        backend: &impl Backend,
        (client, silent): (&TcpStream, bool),
        initial: &[u8],
        on_failure: OnFailure,
    ) -> Result<(Connected, Option<Release>), ConnectError> {
        let client = Client {
            stream: Some(client),
            ip: self.peer().ip(),
            initial,
            silent,
        };
        let limit = self.listener.hold();
        self.listener
            .held
            .connect(backend, client, limit, on_failure)
            .await
    }

    /// Records that it was held.
    pub(super) fn was_held(&mut self, release: Option<Release>) {
        self.release = release;
    }

    /// The local address that the client connected to.
    pub(super) fn local(&self) -> SocketAddr {
        self.session.local
    }

    /// Records the destination.
    pub(super) fn set_destination(&self, destination: Arc<str>) {
        self.session.set_destination(destination);
    }

    /// The destination; empty until it is known.
    pub(super) fn destination(&self) -> &str {
        self.session.destination()
    }

    /// Runs `work` to its end unless the connection is aborted before.
    pub(super) async fn unless_aborted<T>(&self, work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let aborted = self.session.aborted();
        #[cfg(feature = "failpoints")]
        let aborted = async {
            tokio::select! {
                () = aborted => {}
                () = crate::failpoints::is_cut(&self.listener.stop) => {}
            }
        };
        tokio::select! {
            biased;
            () = aborted => None,
            done = work => Some(done),
        }
    }

    /// Relays bytes until the connection ends.
    ///
    /// The arguments are destructured outside of the future, which would otherwise hold them twice.
    pub(super) fn relay(
        mut self,
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
        self.session.set_connected(&instance, address, lease.as_ref());
        self.listener.peers.connected(address);
        self.instance = Some(address);
        let initial = InitialData { bytes: initial, sent };
        async move {
            let (session, lease) = (&*self.session, lease.as_ref());
            let abort = pin!(async {
                let down = async {
                    match lease {
                        Some(lease) => lease.down().await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = session.aborted() => End::Aborted,
                    () = down => End::EndpointDown,
                }
            });
            let clock = self.listener.idle_clock();
            let meter = |direction, bytes| {
                self.moved(direction, bytes);
                if let Some(lease) = lease {
                    lease.moved(direction, bytes);
                }
            };
            let summary = relay(&client, &instance, initial, clock, abort, meter).await;
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

    /// Refuses the connection with a reset.
    pub(super) fn reset(self, client: TcpStream, refusal: Refusal, why: &impl Display) {
        // On failure the client has already disconnected.
        let _ = client.set_zero_linger();
        drop(client);
        self.refused(refusal, why);
    }

    /// Counts and logs a refusal.
    pub(super) fn refused(self, refusal: Refusal, why: &impl Display) {
        self.listener.refusals.count(refusal);
        tracing::debug!(
            peer = %self.session.client,
            destination = %self.session.destination(),
            duration_ms = self.age_ms(),
            reason = %why,
            "connection refused"
        );
    }

    /// Counts bytes passed.
    pub(super) fn moved(&self, direction: Direction, bytes: u64) {
        self.listener.counters.moved(direction, bytes);
        self.session.moved(direction, bytes);
        if let (Direction::ToClient, Some(release)) = (direction, &self.release) {
            release.answered();
        }
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.session.age().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.listener.sessions.end(&self.session);
        self.listener.peers.leave(self.session.client.ip());
        if let Some(instance) = self.instance {
            self.listener.peers.disconnected(instance);
        }
        self.listener.counters.close();
    }
}
