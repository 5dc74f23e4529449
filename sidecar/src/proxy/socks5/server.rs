//! Serves SOCKS5 clients: decides whether a destination is allowed, connects, and replies.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::direct::{self, DirectError, Scope};
use super::handshake::{self, HandshakeError, Negotiated};
use super::wire::{Destination, Reply, ReplyCode};
use crate::balance::{Outlook, Protocol, ServerGroup, ServerGroups};
use crate::lingering_close::lingering_close;
use crate::proxy::access::SecurityGroup;
use crate::proxy::admission::Handle;
use crate::proxy::backends::Backends;
use crate::proxy::connect::{ConnectError, Connected, OnFailure, Reason, connect};
use crate::proxy::connection::Connection;
use crate::proxy::hold::Release;
use crate::proxy::http;
use crate::proxy::listener::Listener;
use crate::proxy::relay::End;
use crate::proxy::workers::Workers;
use crate::proxy::{Limits, Refusal};
use crate::resolve::Resolver;

/// A running SOCKS5 server. When dropped, it stops accepting; its connections live on.
#[derive(Debug)]
pub struct Socks5Server {
    listener: Listener,
    service: Arc<Service>,
}

#[derive(Debug)]
struct Service {
    address: SocketAddr,
    backends: Backends,
    allow_non_backend: AtomicBool,
    /// Whether destinations that are not backends may be loopback or link-local.
    allow_local: AtomicBool,
    resolver: Resolver,
    on_failure: OnFailure,
    /// Timeout for the handshake, and for sending the reply.
    handshake_timeout: Duration,
}

impl Socks5Server {
    /// Starts to serve the clients of a bound listener: all, or those that the security group allows. Allowed
    /// destinations are the names of the backends' groups and the addresses of their servers; any other only with
    /// `allow_non_backend`, and on a listener beyond loopback no loopback or link-local ones, see
    /// [`Self::set_allow_local`].
    ///
    /// # Errors
    /// When the system refuses a setting of the socket.
    pub fn start(
        listener: std::net::TcpListener,
        backends: Arc<ServerGroups>,
        allow_non_backend: bool,
        security_group: Option<Arc<SecurityGroup>>,
        limits: Limits,
        workers: &Workers,
    ) -> io::Result<Self> {
        let service = Arc::new(Service {
            address: listener.local_addr()?,
            backends: Backends::new(backends),
            allow_non_backend: AtomicBool::new(allow_non_backend),
            allow_local: AtomicBool::new(false),
            resolver: Resolver::default(),
            on_failure: limits.on_connect_failure,
            handshake_timeout: limits.handshake,
        });
        let listener = Listener::start(listener, &service, security_group, limits, workers)?;
        Ok(Self { listener, service })
    }

    /// The listener: its address, counters and connections.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Replaces the backends of new connections.
    pub fn set_backends(&self, backends: Arc<ServerGroups>) {
        self.service.backends.set(backends);
    }

    /// Whether destinations that are not backends are allowed.
    pub fn allow_non_backend(&self) -> bool {
        self.service.allow_non_backend.load(Ordering::Relaxed)
    }

    /// Allows or forbids destinations that are not backends, for new connections.
    pub fn set_allow_non_backend(&self, allow: bool) {
        self.service.allow_non_backend.store(allow, Ordering::Relaxed);
    }

    /// Allows or forbids loopback and link-local addresses among the destinations that are not backends, for new
    /// connections. Clients of a listener on loopback always reach them.
    pub fn set_allow_local(&self, allow: bool) {
        self.service.allow_local.store(allow, Ordering::Relaxed);
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the destination is not a backend")]
    NotAllowed,
    #[error(
        "the destination is loopback or link-local, which needs allow-local on a listener beyond loopback"
    )]
    NotLocal,
    #[error(transparent)]
    Unconnected(#[from] ConnectError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl From<DirectError> for Failed {
    fn from(error: DirectError) -> Self {
        match error {
            DirectError::Local => Self::NotLocal,
            DirectError::Unconnected(error) => Self::Unconnected(error),
        }
    }
}

impl Failed {
    /// The reply to the client, if any.
    fn reply(&self) -> Option<Vec<u8>> {
        let code = match self {
            Self::NotAllowed | Self::NotLocal => ReplyCode::NotAllowed,
            Self::Unconnected(error) => match error.reason {
                Reason::Refused => ReplyCode::ConnectionRefused,
                Reason::Own(_) | Reason::ClientLeft => ReplyCode::GeneralFailure,
                Reason::TimedOut => ReplyCode::TtlExpired,
                Reason::NoInstance | Reason::Unresolved | Reason::Unreachable => ReplyCode::HostUnreachable,
            },
            Self::Handshake(error) => return error.reply(),
        };
        Some(handshake::refusal(code))
    }

    fn refusal(&self) -> Refusal {
        match self {
            Self::NotAllowed | Self::NotLocal => Refusal::NotAllowed,
            Self::Unconnected(error) => error.reason.into(),
            Self::Handshake(HandshakeError::TooSlow(_)) => Refusal::HandshakeTimeout,
            Self::Handshake(_) => Refusal::Handshake,
        }
    }
}

/// A connection to the destination, and whether its client was held.
type Held = (Connected, Option<Release>);

/// What a client's destination is.
enum Reached {
    /// A connection, for bytes.
    Connected(Held),
    /// A group, for requests.
    Group(Arc<ServerGroup>),
}

impl Service {
    /// Performs the handshake and connects the client. On failure replies and closes the connection.
    async fn open(&self, mut client: TcpStream, connection: Connection) -> Option<Opened> {
        let reached = {
            let reaching = pin!(self.reach(&mut client, &connection));
            connection.unless_aborted(reaching).await
        };
        match reached {
            Some(Ok((to, initial))) => {
                return Some(Opened {
                    client,
                    to,
                    initial,
                    connection,
                });
            }
            Some(Err(failed)) => {
                if let Some(reply) = failed.reply() {
                    // Errors do not matter: the connection is closed anyway.
                    let closing = pin!(lingering_close(&mut client, &reply));
                    let _ = connection.unless_aborted(closing).await;
                }
                if let Failed::Handshake(error) = &failed
                    && error.is_other_protocol()
                {
                    let (client, listener) = (connection.peer(), self.address);
                    tracing::warn!(%listener, %client, "socks5-server: {error}");
                }
                connection.refused(failed.refusal(), &failed);
            }
            None => connection.reset(client, Refusal::Aborted, &End::Aborted),
        }
        None
    }

    /// Reads the request, connects, and replies. Also returns the data that the client sent after its request.
    async fn reach(
        &self,
        client: &mut TcpStream,
        connection: &Connection,
    ) -> Result<(Reached, Vec<u8>), Failed> {
        let Negotiated { destination, initial } =
            handshake::negotiate(client, self.handshake_timeout).await?;
        let destination = destination.canonical();
        connection.set_destination(destination.to_string().into());
        let group = self.backends.get().group_named(connection.destination());
        if let Some(group) = group.filter(|group| group.protocol() != Protocol::Tcp) {
            self.await_endpoint(client, connection, &group).await?;
            let bound = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            self.reply_success(client, bound).await?;
            return Ok((Reached::Group(group), initial));
        }
        let connected = self.connect(client, connection, &destination).await?;
        let bound = connected.0.stream.local_addr().map_err(HandshakeError::from)?;
        self.reply_success(client, bound).await?;
        Ok((Reached::Connected(connected), initial))
    }

    /// Waits until a group has a usable endpoint. None is picked while one is known to be up: each request picks its own.
    async fn await_endpoint(
        &self,
        client: &TcpStream,
        connection: &Connection,
        group: &Arc<ServerGroup>,
    ) -> Result<(), ConnectError> {
        if group.outlook() != Outlook::Good {
            let connecting = connection.connect(group, (client, false), &[], self.on_failure);
            connecting.await?;
        }
        Ok(())
    }

    /// Sends the reply that reports success, with the address that the connection to the destination is made from.
    async fn reply_success(&self, client: &mut TcpStream, bound: SocketAddr) -> Result<(), HandshakeError> {
        let reply = Reply {
            code: ReplyCode::Succeeded,
            bound,
        };
        let limit = self.handshake_timeout;
        match timeout(limit, client.write_all(&reply.encode())).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(HandshakeError::TooSlow(limit)),
        }
    }

    /// Connects to the destination, if it is allowed. Of a group the client may be held.
    async fn connect(
        &self,
        client: &TcpStream,
        connection: &Connection,
        destination: &Destination,
    ) -> Result<Held, Failed> {
        let backends = self.backends.get();
        if let Some(group) = backends.group_named(connection.destination()) {
            return Ok(connection
                .connect(&group, (client, false), &[], self.on_failure)
                .await?);
        }
        if let Destination::Address(address) = destination {
            let mut lease = backends.server_at(*address);
            if lease.is_some() {
                return Ok((connect(|_| lease.take(), &[], self.on_failure).await?, None));
            }
        }
        if !self.allow_non_backend.load(Ordering::Relaxed) {
            return Err(Failed::NotAllowed);
        }
        let on_loopback = self.address.ip().to_canonical().is_loopback();
        let scope = match on_loopback || self.allow_local.load(Ordering::Relaxed) {
            true => Scope::Any,
            false => Scope::Remote,
        };
        Ok((
            direct::connect_to(destination, scope, &self.resolver).await?,
            None,
        ))
    }
}

/// A client that is connected to its destination.
struct Opened {
    client: TcpStream,
    to: Reached,
    /// Data that it sent after its request.
    initial: Vec<u8>,
    connection: Connection,
}

impl Handle for Service {
    async fn handle(self: Arc<Self>, client: TcpStream, connection: Connection) {
        // Boxed, so that the handshake's memory is freed before the relay begins.
        let Some(opened) = Box::pin(self.open(client, connection)).await else {
            return;
        };
        let Opened {
            client,
            to,
            initial,
            mut connection,
        } = opened;
        match to {
            Reached::Connected((connected, release)) => {
                connection.was_held(release);
                connection.relay(client, connected, initial).await;
            }
            Reached::Group(group) => {
                let protocol = group.protocol();
                let source = http::Source::Group(group);
                http::serve(client, initial.into(), connection, source, protocol).await;
            }
        }
    }
}
