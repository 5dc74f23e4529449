//! The sockets of a node at its own address, and the exchange server there. They move with the address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::exchange_server::ExchangeServer;
use super::key::reload::LoadError;
use super::protocol::Search;
use super::settings::DiscoverySettings;
use super::wire::{Malformed, Node};
use crate::activation::ActivatedSockets;
use crate::interface::{Choice, Follow, InterfaceError, Reason, Unusable};

/// Why a node cannot take part in discovery.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The interface has no usable address.
    #[error("discovery.nic")]
    Interface(#[from] InterfaceError),
    /// A port could not be bound.
    #[error("{setting}: cannot bind {address}{}", advice(.source))]
    Bind {
        /// The setting that names the port.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The mesh key cannot be used.
    #[error("discovery.key_file")]
    Key(#[from] LoadError),
    /// The node's name cannot go over the wire.
    #[error("the host name, which is the node's name, is not a valid name in the protocol")]
    Name(#[from] Malformed),
    /// An earlier process of this node hands over, and was another node.
    #[error(
        "the node was {before} and is {now}: its name, address or ports have changed. Stop the sidecar and start it again"
    )]
    Changed {
        /// What the node was.
        before: Node,
        /// What it is with the settings and addresses of now.
        now: Node,
    },
}

/// What to do if another program has the port, which often is another sidecar.
fn advice(error: &io::Error) -> &'static str {
    if error.kind() != io::ErrorKind::AddrInUse {
        return "";
    }
    ", which another program uses. Two sidecars on one machine, or in one container's network, need an address each \
     (discovery.address) or ports of their own (discovery.udp_port, discovery.udp_sock_port, discovery.tcp_port) within \
     those that all search (discovery.search.min_udp_port, discovery.search.max_udp_port)"
}

/// Pause before ports that could not be bound at a new address are tried again.
const BIND_AGAIN: Duration = Duration::from_millis(200);

/// A node's address, as its owner reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// The node.
    pub(super) node: Node,
    /// Why no other node can reach it now, if that is so.
    pub(super) unreachable: Option<String>,
}

/// The sockets of a node.
pub(super) struct Endpoint {
    settings: DiscoverySettings,
    follow: Follow,
    standing: watch::Sender<Standing>,
    sockets: Bound,
    entry: Entry,
    server: Arc<ExchangeServer>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// The exchange server's end at this address.
    serving: DropGuard,
    /// A new address whose ports could not be bound, and when to try again.
    unbound: Option<(Choice, Instant)>,
}

/// How a node begins to take part.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// Sockets that it uses instead of binding its own.
    pub(super) sockets: ActivatedSockets,
    /// Once cancelled, it reads its sockets; `None` reads them at once.
    pub(super) opened: Option<CancellationToken>,
}

impl Entry {
    /// Waits until the sockets may be read.
    pub(super) async fn opened(&self) {
        if let Some(opened) = &self.opened {
            opened.cancelled().await;
        }
    }
}

/// A change of the node's address.
pub(super) enum Moved {
    /// It has none.
    Nowhere,
    /// It is this node, in this search network, from now on.
    To(Node, Search),
}

/// Sockets for datagrams, and that of the exchange server.
pub(super) struct Bound {
    pub(super) incoming: Arc<UdpSocket>,
    pub(super) outgoing: Arc<UdpSocket>,
    /// The address of the outgoing socket.
    pub(super) source: SocketAddr,
    /// A duplicate, to be handed over.
    exchange: OwnedFd,
}

impl Bound {
    /// Duplicates of all sockets.
    pub(super) fn duplicates(&self) -> io::Result<Vec<OwnedFd>> {
        let mut all = vec![
            self.exchange.try_clone()?,
            self.incoming.as_fd().try_clone_to_owned()?,
        ];
        if !Arc::ptr_eq(&self.incoming, &self.outgoing) {
            all.push(self.outgoing.as_fd().try_clone_to_owned()?);
        }
        Ok(all)
    }
}

impl Endpoint {
    /// Finds the node's address and binds its ports there.
    pub(super) async fn open(
        settings: DiscoverySettings,
        name: &str,
        mut follow: Follow,
        server: ExchangeServer,
        tasks: TaskTracker,
        stop: CancellationToken,
        entry: Entry,
    ) -> Result<Self, StartError> {
        let choice = follow.settled().await?;
        warn_of_stand_in(&choice, follow.nic());
        let (sockets, exchange, node) = bind(name, choice.address, &settings, &entry.sockets).await?;
        let server = Arc::new(server);
        let serving = serve(&tasks, &server, exchange, &stop, &entry);
        Ok(Self {
            settings,
            follow,
            standing: watch::Sender::new(Standing {
                node,
                unreachable: None,
            }),
            sockets,
            entry,
            server,
            tasks,
            stop,
            serving,
            unbound: None,
        })
    }

    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    pub(super) fn node(&self) -> Node {
        self.standing.borrow().node.clone()
    }

    pub(super) fn search(&self) -> Search {
        Search::new(self.node().datagram_address(), &self.settings)
    }

    pub(super) fn sockets(&self) -> &Bound {
        &self.sockets
    }

    /// Waits until the sockets may be read.
    pub(super) async fn opened(&self) {
        self.entry.opened().await;
    }

    /// Whether other nodes can reach it.
    pub(super) fn is_reachable(&self) -> bool {
        self.standing.borrow().unreachable.is_none()
    }

    /// Waits until the node's address changes, or its ports are to be bound again. Cancel-safe.
    pub(super) async fn changed(&mut self) -> Result<Choice, Unusable> {
        let Some((choice, at)) = &self.unbound else {
            return self.follow.changed().await;
        };
        let choice = choice.clone();
        tokio::select! {
            changed = self.follow.changed() => changed,
            () = tokio::time::sleep_until(*at) => Ok(choice),
        }
    }

    /// Follows a change of the address. None if nothing moves.
    pub(super) async fn follow(&mut self, found: Result<Choice, Unusable>) -> Option<Moved> {
        let retried = self.unbound.take().is_some();
        let before = self.node();
        let choice = match found {
            Ok(choice) => choice,
            Err(why) => {
                tracing::warn!(address = %before.address(), "discovery: no address: {why}");
                return self.unreachable(why.to_string());
            }
        };
        warn_of_stand_in(&choice, self.follow.nic());
        let Choice { nic, address, .. } = &choice;
        if *address == before.address() {
            if self.is_reachable() {
                return None;
            }
            tracing::info!(%address, nic, "discovery: the address is back");
            return Some(self.reachable(before));
        }
        match bind(before.name(), *address, &self.settings, &self.entry.sockets).await {
            Ok((sockets, exchange, node)) => {
                tracing::info!(from = %before.address(), to = %address, nic, "discovery: the address has changed");
                self.sockets = sockets;
                self.serving = serve(&self.tasks, &self.server, exchange, &self.stop, &self.entry);
                // A new socket is not writable until the runtime has polled it once.
                let _ = self.sockets.outgoing.writable().await;
                Some(self.reachable(node))
            }
            Err(error) => {
                let error = anyhow::Error::from(error);
                if !retried {
                    tracing::warn!(%address, "discovery: the new address cannot be used yet: {error:#}");
                }
                self.unbound = Some((choice, Instant::now() + BIND_AGAIN));
                self.unreachable(format!("{error:#}"))
            }
        }
    }

    fn reachable(&mut self, node: Node) -> Moved {
        self.standing.send_replace(Standing {
            node: node.clone(),
            unreachable: None,
        });
        Moved::To(node, self.search())
    }

    fn unreachable(&mut self, why: String) -> Option<Moved> {
        let was_reachable = self.is_reachable();
        self.standing
            .send_modify(|standing| standing.unreachable = Some(why));
        was_reachable.then_some(Moved::Nowhere)
    }
}

fn warn_of_stand_in(Choice { nic, reason, .. }: &Choice, configured: &str) {
    if *reason != Reason::Configured {
        tracing::warn!("discovery.nic: network interface {nic} takes the place of {configured}: {reason}");
    }
}

/// Starts the exchange server; it ends with the guard, or when the node stops.
fn serve(
    tasks: &TaskTracker,
    server: &Arc<ExchangeServer>,
    exchange: TcpListener,
    stop: &CancellationToken,
    entry: &Entry,
) -> DropGuard {
    let stop = stop.child_token();
    let (server, entry, until) = (Arc::clone(server), entry.clone(), stop.clone());
    tasks.spawn(async move {
        until.run_until_cancelled(entry.opened()).await;
        server.run(exchange, until).await;
    });
    stop.drop_guard()
}

/// Binds the ports at an address, or takes sockets that are bound to them. Never waits.
async fn bind(
    name: &str,
    ip: IpAddr,
    settings: &DiscoverySettings,
    sockets: &ActivatedSockets,
) -> Result<(Bound, TcpListener, Node), StartError> {
    let fail = |setting, port| {
        let address = SocketAddr::new(ip, port);
        move |source: io::Error| StartError::Bind {
            setting,
            address,
            source,
        }
    };
    let DiscoverySettings {
        udp_port,
        tcp_port,
        udp_sock_port,
        ..
    } = *settings;
    let udp = async |setting, port| {
        let address = SocketAddr::new(ip, port);
        let socket = match sockets.take_udp(address) {
            Some(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| UdpSocket::from_std(socket)),
            None => UdpSocket::bind(address).await,
        };
        Ok::<_, StartError>(Arc::new(socket.map_err(fail(setting, port))?))
    };
    let incoming = udp("discovery.udp_port", udp_port).await?;
    // If both ports are the same, one socket serves both directions.
    let outgoing = if udp_sock_port == udp_port && udp_port != 0 {
        incoming.clone()
    } else {
        udp("discovery.udp_sock_port", udp_sock_port).await?
    };
    // The listening socket may be bound again while old connections linger (SO_REUSEADDR).
    let address = SocketAddr::new(ip, tcp_port);
    let exchange = match sockets.take(address) {
        Some(socket) => socket
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(socket)),
        None => TcpListener::bind(address).await,
    };
    let exchange = exchange.map_err(fail("discovery.tcp_port", tcp_port))?;
    let tcp = exchange
        .local_addr()
        .map_err(fail("discovery.tcp_port", tcp_port))?;
    let duplicate = exchange
        .as_fd()
        .try_clone_to_owned()
        .map_err(fail("discovery.tcp_port", tcp_port))?;
    let at = incoming
        .local_addr()
        .map_err(fail("discovery.udp_port", udp_port))?;
    let node = Node::new(name, ip, at.port(), tcp.port())?;
    let source = outgoing
        .local_addr()
        .map_err(fail("discovery.udp_sock_port", udp_sock_port))?;
    let bound = Bound {
        incoming,
        outgoing,
        source,
        exchange: duplicate,
    };
    Ok((bound, exchange, node))
}
