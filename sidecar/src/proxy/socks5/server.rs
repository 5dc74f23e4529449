//! Serves SOCKS5 clients: decides where each may go, takes it there, and says how it went.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handshake::{self, Asked, HandshakeError};
use super::wire::{Destination, Reply, ReplyCode};
use crate::balance::ServerGroups;
use crate::lingering_close::lingering_close;
use crate::proxy::access::SecurityGroup;
use crate::proxy::admission::Handle;
use crate::proxy::backends::Backends;
use crate::proxy::connect::{ConnectError, Connected, OnFailure, Reason, connect};
use crate::proxy::connection::Connection;
use crate::proxy::direct;
use crate::proxy::listener::Listener;
use crate::proxy::relay::End;
use crate::proxy::workers::Workers;
use crate::proxy::{Limits, Refusal};

/// A running SOCKS5 server. Dropped, it stops accepting; its connections live on.
#[derive(Debug)]
pub struct Socks5Server {
    listener: Listener,
    service: Arc<Service>,
}

#[derive(Debug)]
struct Service {
    backends: Backends,
    allow_non_backend: AtomicBool,
    resolver: direct::Resolver,
    on_failure: OnFailure,
    /// How long a client may take to say where it wants to go, and to hear that it got there.
    patience: Duration,
}

impl Socks5Server {
    /// Begins to serve clients of a bound listener: all, or whom the security group allows. They may go to the
    /// backends' groups by name and to the backends' addresses; elsewhere only where `allow_non_backend`.
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
            backends: Backends::new(backends),
            allow_non_backend: AtomicBool::new(allow_non_backend),
            resolver: direct::Resolver::default(),
            on_failure: limits.on_connect_failure,
            patience: limits.handshake,
        });
        let listener = Listener::start(listener, &service, security_group, limits, workers)?;
        Ok(Self { listener, service })
    }

    /// The listener: its address, its counters, and how to end it.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Takes new connections elsewhere from now on.
    pub fn set_backends(&self, backends: Arc<ServerGroups>) {
        self.service.backends.set(backends);
    }

    /// Whether clients may go to destinations that are no backends.
    pub fn allow_non_backend(&self) -> bool {
        self.service.allow_non_backend.load(Ordering::Relaxed)
    }

    /// Allows or forbids destinations that are no backends from now on.
    pub fn set_allow_non_backend(&self, allow: bool) {
        self.service.allow_non_backend.store(allow, Ordering::Relaxed);
    }
}

/// Why a request was turned down.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the destination is not a backend")]
    NotAllowed,
    #[error(transparent)]
    Unconnected(#[from] ConnectError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl Failed {
    /// What the client is to hear of it.
    fn reply(&self) -> Option<Vec<u8>> {
        let code = match self {
            Self::NotAllowed => ReplyCode::NotAllowed,
            Self::Unconnected(error) => match error.reason {
                Reason::Refused => ReplyCode::ConnectionRefused,
                Reason::OutOfRoom => ReplyCode::GeneralFailure,
                Reason::TimedOut => ReplyCode::TtlExpired,
                Reason::NoInstance | Reason::Unresolved | Reason::Unreachable => ReplyCode::HostUnreachable,
            },
            Self::Handshake(error) => return error.reply(),
        };
        Some(handshake::refusal(code))
    }

    fn refusal(&self) -> Refusal {
        match self {
            Self::NotAllowed => Refusal::NotAllowed,
            Self::Unconnected(error) => error.reason.into(),
            Self::Handshake(HandshakeError::TooSlow(_)) => Refusal::HandshakeTimeout,
            Self::Handshake(_) => Refusal::Handshake,
        }
    }
}

impl Service {
    /// Hears a client and takes it where it wants to go; or tells it why not, and that is all.
    async fn open(&self, mut client: TcpStream, connection: Connection) -> Option<Opened> {
        let reached = {
            let reaching = pin!(self.reach(&mut client, &connection));
            connection.unless_aborted(reaching).await
        };
        match reached {
            Some(Ok((connected, initial))) => {
                return Some(Opened {
                    client,
                    connected,
                    initial,
                    connection,
                });
            }
            Some(Err(failed)) => {
                if let Some(reply) = failed.reply() {
                    // Whatever goes wrong now is the client's affair: it is on its way out.
                    let dismissal = pin!(lingering_close(&mut client, &reply));
                    let _ = connection.unless_aborted(dismissal).await;
                }
                connection.refused(failed.refusal(), &failed);
            }
            None => connection.reset(client, Refusal::Aborted, &End::Aborted),
        }
        None
    }

    /// Hears where a client wants to go, connects, and tells it so. Returns also what the client sent behind
    /// its request already.
    async fn reach(
        &self,
        client: &mut TcpStream,
        connection: &Connection,
    ) -> Result<(Connected, Vec<u8>), Failed> {
        let Asked { destination, initial } = handshake::hear(client, self.patience).await?;
        connection.set_destination(destination.to_string().into());
        let from = connection.peer().ip();
        let connected = self.connect(from, &destination, connection.destination()).await?;
        self.welcome(client, &connected).await?;
        Ok((connected, initial))
    }

    /// Says that the connection stands.
    async fn welcome(&self, client: &mut TcpStream, connected: &Connected) -> Result<(), HandshakeError> {
        let reply = Reply {
            code: ReplyCode::Succeeded,
            bound: connected.stream.local_addr()?,
        };
        let limit = self.patience;
        match timeout(limit, client.write_all(&reply.encode())).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(HandshakeError::TooSlow(limit)),
        }
    }

    /// Takes a connection where the client wants to go, if it may. `name` is the destination, written out.
    async fn connect(
        &self,
        client: IpAddr,
        destination: &Destination,
        name: &str,
    ) -> Result<Connected, Failed> {
        let backends = self.backends.get();
        if let Some(group) = backends.group_named(name) {
            return Ok(connect(|tried| group.pick(client, tried), &[], self.on_failure).await?);
        }
        let address = address_of(destination);
        if let Ok(address) = address {
            let mut lease = backends.server_at(address);
            if lease.is_some() {
                return Ok(connect(|_| lease.take(), &[], self.on_failure).await?);
            }
        }
        if !self.allow_non_backend.load(Ordering::Relaxed) {
            return Err(Failed::NotAllowed);
        }
        let connected = match address {
            Ok(address) => direct::connect_to(address).await,
            Err((name, port)) => self.resolver.connect_to(name, port).await,
        };
        Ok(connected?)
    }
}

/// The address that a destination is, also one that a client wrote out as a name, and without the IPv6 dress
/// of an IPv4 address; else the name and port.
fn address_of(destination: &Destination) -> Result<SocketAddr, (&str, u16)> {
    let (ip, port) = match destination {
        Destination::Address(address) => (address.ip(), address.port()),
        Destination::Domain(name, port) => (name.parse().map_err(|_| (name.as_str(), *port))?, *port),
    };
    Ok(SocketAddr::new(ip.to_canonical(), port))
}

/// A client that got where it wanted to go.
struct Opened {
    client: TcpStream,
    connected: Connected,
    /// What it sent behind its request already.
    initial: Vec<u8>,
    connection: Connection,
}

impl Handle for Service {
    async fn handle(self: Arc<Self>, client: TcpStream, connection: Connection) {
        // Boxed, so that the handshake's memory is free again while the bytes flow.
        let Some(opened) = Box::pin(self.open(client, connection)).await else {
            return;
        };
        let Opened {
            client,
            connected,
            initial,
            connection,
        } = opened;
        connection.carry(client, connected, initial).await;
    }
}
