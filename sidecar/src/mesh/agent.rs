//! Runs one node of the mesh: the sockets and the clock around the state machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::counters::Counters;
use super::driver::Driver;
use super::exchange_server::ExchangeServer;
use super::large_bodies::LargeBodies;
use super::protocol::{self, Protocol, Search};
use super::publishing::Publishing;
use super::settings::DiscoverySettings;

use super::view::View;
use super::wire::{Malformed, Node};
use crate::balance::service::{Instances, Offer};
use crate::interface::{InterfaceError, address_of};

/// Capacity of the queue of requests to the state machine. Connections wait while it is full.
const MAX_WAITING_REQUESTS: usize = 64;

/// Why a node cannot take part in discovery.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The interface has no usable address.
    #[error("discovery.nic")]
    Interface(#[from] InterfaceError),
    /// A port could not be bound.
    #[error("{setting}: cannot bind {address}")]
    Bind {
        /// The setting that names the port.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The node's name cannot go over the wire.
    #[error("the host name, which is the node's name, is not a valid name in the protocol")]
    Name(#[from] Malformed),
}

/// A node that takes part in discovery until it leaves or is dropped.
#[derive(Debug)]
pub struct Mesh {
    node: Node,
    instances: watch::Receiver<Arc<Instances>>,
    view: watch::Receiver<Arc<View>>,
    counters: Arc<Counters>,
    leave: Option<oneshot::Sender<Duration>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Mesh {
    /// Binds the node's ports and joins the mesh; `offers` are the local instances to announce, now and
    /// whenever they change. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the interface has no address or a port cannot be bound.
    pub async fn start(
        settings: DiscoverySettings,
        node_name: &str,
        offers: watch::Receiver<Vec<Offer>>,
    ) -> Result<Self, StartError> {
        Self::start_with(settings, node_name, offers, protocol::Config::default()).await
    }

    /// As [`Mesh::start`], with other tunables of the protocol.
    ///
    /// # Errors
    /// As [`Mesh::start`].
    pub async fn start_with(
        settings: DiscoverySettings,
        node_name: &str,
        offers: watch::Receiver<Vec<Offer>>,
        config: protocol::Config,
    ) -> Result<Self, StartError> {
        let address = match settings.address {
            Some(address) => address,
            None => address_of(&settings.nic, settings.ip_type)?,
        };
        let sockets = Sockets::bind(address, &settings).await?;
        let node = Node::new(node_name, address, sockets.udp_port, sockets.tcp_port)?;
        tracing::info!(%node, "discovery: listening");

        let search = Search::new(node.datagram_address(), &settings);
        let seed = rand::rng().random();
        let protocol = Protocol::new(node.clone(), search, config, seed);
        let counters = Arc::new(Counters::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (requests_in, requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let (leave_in, leave) = oneshot::channel();
        let (instances_in, instances) = watch::channel(Arc::new(protocol.instances()));
        let (view_in, view) = watch::channel(Arc::new(View::of(protocol.membership(), protocol.directory())));

        let server = ExchangeServer {
            requests: requests_in,
            counters: counters.clone(),
            large: LargeBodies::new(),
        };
        tasks.spawn(server.run(sockets.exchange, stop.clone()));
        let publishing = Publishing::new(instances_in, view_in, &protocol);
        let driver = Driver {
            protocol,
            incoming: sockets.incoming,
            outgoing: sockets.outgoing,
            requests,
            offers,
            leave,
            publishing,
            counters: counters.clone(),
            large: Arc::new(LargeBodies::new()),
            stop: stop.clone(),
        };
        tasks.spawn(driver.run());
        tasks.close();
        Ok(Self {
            node,
            instances,
            view,
            counters,
            leave: Some(leave_in),
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// The node itself, with the ports that were bound.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Every instance offered by this node and by nodes that are up.
    pub fn instances(&self) -> watch::Receiver<Arc<Instances>> {
        self.instances.clone()
    }

    /// Its view of the mesh.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Counters of its datagrams and exchanges.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Withdraws the local instances, waits at most `limit` until every peer has acknowledged that, sends `leave` to
    /// all known nodes, and stops.
    pub async fn leave(mut self, limit: Duration) {
        if let Some(leave) = self.leave.take() {
            // Sending fails only if the driver has already ended.
            let _ = leave.send(limit);
        }
        // The driver bounds its own leave by `limit`; the rest only drops connections.
        let ended = tokio::time::timeout(limit + Duration::from_secs(1), self.tasks.wait()).await;
        if ended.is_err() {
            tracing::warn!("discovery: did not end in time and is aborted");
            self.stop.cancel();
        }
    }
}

struct Sockets {
    incoming: Arc<UdpSocket>,
    outgoing: Arc<UdpSocket>,
    exchange: TcpListener,
    udp_port: u16,
    tcp_port: u16,
}

impl Sockets {
    async fn bind(ip: IpAddr, settings: &DiscoverySettings) -> Result<Self, StartError> {
        let fail = |setting, port| {
            let address = SocketAddr::new(ip, port);
            move |source| StartError::Bind {
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
            let socket = UdpSocket::bind(SocketAddr::new(ip, port))
                .await
                .map_err(fail(setting, port))?;
            Ok::<_, StartError>(Arc::new(socket))
        };
        let incoming = udp("discovery.udp_port", udp_port).await?;
        // If both ports are the same, one socket serves both directions.
        let outgoing = if udp_sock_port == udp_port && udp_port != 0 {
            incoming.clone()
        } else {
            udp("discovery.udp_sock_port", udp_sock_port).await?
        };
        // The listening socket may be bound again while old connections linger (SO_REUSEADDR).
        let exchange = TcpListener::bind(SocketAddr::new(ip, tcp_port)).await;
        let exchange = exchange.map_err(fail("discovery.tcp_port", tcp_port))?;
        let tcp = exchange
            .local_addr()
            .map_err(fail("discovery.tcp_port", tcp_port))?;
        let at = incoming
            .local_addr()
            .map_err(fail("discovery.udp_port", udp_port))?;
        Ok(Self {
            udp_port: at.port(),
            tcp_port: tcp.port(),
            incoming,
            outgoing,
            exchange,
        })
    }
}
