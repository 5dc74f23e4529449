//! Serves SOCKS5 clients: decides where each may go, takes it there, and says how it went.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::handshake::{self, Asked, HandshakeError};
use super::wire::{Destination, Reply, ReplyCode};
use crate::balance::ServerGroups;
use crate::proxy::Limits;
use crate::proxy::connect::{ConnectError, Connected, Reason, connect};
use crate::proxy::direct;
use crate::proxy::listener::{Connection, Listener, Serve};
use crate::proxy::relay::End;
use crate::proxy::session::Session;

/// A running SOCKS5 server. Dropped, it stops accepting; its connections live on.
#[derive(Debug)]
pub struct Socks5Server {
    listener: Listener,
    service: Arc<Service>,
}

#[derive(Debug)]
struct Service {
    backends: RwLock<Arc<ServerGroups>>,
    allow_non_backend: AtomicBool,
    resolver: direct::Resolver,
    limits: Limits,
}

impl Socks5Server {
    /// Begins to serve clients of a bound listener. They may go to the backends' groups by name and to the
    /// backends' addresses; elsewhere only where `allow_non_backend`.
    ///
    /// # Errors
    /// When the system refuses a setting of the socket.
    pub fn start(
        listener: std::net::TcpListener,
        backends: Arc<ServerGroups>,
        allow_non_backend: bool,
        limits: Limits,
    ) -> io::Result<Self> {
        let service = Arc::new(Service {
            backends: RwLock::new(backends),
            allow_non_backend: AtomicBool::new(allow_non_backend),
            resolver: direct::Resolver::default(),
            limits,
        });
        let listener = Listener::start(listener, limits.connections, Arc::clone(&service))?;
        Ok(Self { listener, service })
    }

    /// The listener: its address, its counters, and how to end it.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Where new connections may go.
    pub fn backends(&self) -> Arc<ServerGroups> {
        self.service.backends()
    }

    /// Takes new connections elsewhere from now on.
    pub fn set_backends(&self, backends: Arc<ServerGroups>) {
        *self
            .service
            .backends
            .write()
            .unwrap_or_else(PoisonError::into_inner) = backends;
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
enum Refusal {
    #[error("the destination is not a backend")]
    NotAllowed,
    #[error(transparent)]
    Unconnected(#[from] ConnectError),
    #[error(transparent)]
    Unwelcomed(#[from] HandshakeError),
}

impl Refusal {
    /// What the client is to hear of it.
    fn reply(&self) -> Option<Vec<u8>> {
        let code = match self {
            Self::NotAllowed => ReplyCode::NotAllowed,
            Self::Unconnected(error) => match error.reason {
                Reason::Refused => ReplyCode::ConnectionRefused,
                Reason::OutOfRoom => ReplyCode::GeneralFailure,
                Reason::NoInstance | Reason::Unresolved | Reason::TimedOut | Reason::Unreachable => {
                    ReplyCode::HostUnreachable
                }
            },
            Self::Unwelcomed(error) => return error.reply(),
        };
        Some(handshake::refusal(code))
    }
}

impl Service {
    fn backends(&self) -> Arc<ServerGroups> {
        Arc::clone(&self.backends.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Connects for a client and tells it so.
    async fn reach(
        &self,
        client: &mut TcpStream,
        from: IpAddr,
        destination: &Destination,
    ) -> Result<Connected, Refusal> {
        let connected = self.connect(from, destination).await?;
        self.welcome(client, &connected).await?;
        Ok(connected)
    }

    /// Says that the connection stands.
    async fn welcome(&self, client: &mut TcpStream, connected: &Connected) -> Result<(), HandshakeError> {
        let reply = Reply {
            code: ReplyCode::Succeeded,
            bound: connected.stream.local_addr()?,
        };
        let limit = self.limits.handshake;
        match timeout(limit, client.write_all(&reply.encode())).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(HandshakeError::TooSlow(limit)),
        }
    }

    /// Takes a connection where the client wants to go, if it may.
    async fn connect(&self, client: IpAddr, destination: &Destination) -> Result<Connected, Refusal> {
        let backends = self.backends();
        if let Some(group) = backends.group_named(&destination.to_string()) {
            return Ok(connect(|tried| group.pick(client, tried)).await?);
        }
        let address = address_of(destination);
        if let Ok(address) = address {
            let mut lease = backends.server_at(address);
            if lease.is_some() {
                return Ok(connect(|_| lease.take()).await?);
            }
        }
        if !self.allow_non_backend.load(Ordering::Relaxed) {
            return Err(Refusal::NotAllowed);
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

impl Serve for Service {
    async fn serve(self: Arc<Self>, mut client: TcpStream, connection: Connection) {
        let started = Instant::now();
        let cut = connection.cut().clone();
        let heard = cut
            .run_until_cancelled(handshake::hear(&mut client, self.limits.handshake))
            .await;
        let Asked { destination, early } = match heard {
            None => return Session::new(connection, "", started).refused(&End::Cut),
            Some(Ok(asked)) => asked,
            Some(Err(error)) => {
                if let Some(reply) = error.reply() {
                    cut.run_until_cancelled(handshake::dismiss(client, &reply)).await;
                }
                Session::new(connection, "", started).refused(&error);
                return;
            }
        };
        let reach = self.reach(&mut client, connection.peer.ip(), &destination);
        let reached = cut.run_until_cancelled(reach).await;
        let session = Session::new(connection, destination, started);
        match reached {
            None => session.refused(&End::Cut),
            Some(Ok(connected)) => session.carry(client, connected, early, self.limits.idle).await,
            Some(Err(refusal)) => {
                if let Some(reply) = refusal.reply() {
                    cut.run_until_cancelled(handshake::dismiss(client, &reply)).await;
                }
                session.refused(&refusal);
            }
        }
    }
}
