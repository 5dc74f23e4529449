//! Runs one node of the mesh: the sockets and the clock around the state machine.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::counters::Counters;
use super::driver::{Driver, Handed};
use super::endpoint::{Endpoint, Entry, Standing, StartError};
use super::exchange_server::ExchangeServer;
use super::key::{MeshKey, reload};
use super::large_bodies::LargeBodies;
use super::protocol::{self, Event, Knowledge, Protocol, Search};
use super::publishing::Publishing;
use super::settings::DiscoverySettings;
use super::view::View;
use super::wire::Node;
use crate::activation::ActivatedSockets;
use crate::balance::service::{Instances, Offer};
use crate::interface::Addresses;

/// Capacity of the queue of requests to the state machine. Connections wait while it is full.
const MAX_WAITING_REQUESTS: usize = 64;

/// Duration of a sweep above which the start warns.
const LONG_SWEEP: Duration = Duration::from_secs(30);

/// An earlier process of a node, which hands over to this one.
#[derive(Debug)]
pub struct Earlier {
    /// What it knows.
    pub knowledge: Knowledge,
    /// Cancelled once it reads the node's sockets no longer.
    pub ended: CancellationToken,
}

/// Whether other nodes can reach a node.
#[derive(Debug, Clone)]
pub struct Reachability(watch::Receiver<Standing>);

impl Reachability {
    /// Why no other node can reach it now, if that is so.
    #[must_use]
    pub fn unreachable(&self) -> Option<String> {
        self.0.borrow().unreachable.clone()
    }
}

/// A node that takes part in discovery until it leaves or is dropped.
#[derive(Debug)]
pub struct Mesh {
    standing: watch::Receiver<Standing>,
    instances: watch::Receiver<Arc<Instances>>,
    view: watch::Receiver<Arc<View>>,
    counters: Arc<Counters>,
    leave: Option<oneshot::Sender<Duration>>,
    handed: mpsc::Sender<oneshot::Sender<Handed>>,
    key: Option<Arc<MeshKey>>,
    /// Reads the key file, if there is one.
    read_key: Option<Arc<Notify>>,
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

    /// As [`Mesh::start`], at an interface's address of these, which it follows. Uses these sockets if they are bound to
    /// the node's ports. With an `earlier` process, goes on as its node: knows what it knew, and says and reads nothing
    /// before it has ended.
    ///
    /// # Errors
    /// As [`Mesh::start`], and when the earlier process was another node.
    pub async fn start_at(
        addresses: &Addresses,
        settings: DiscoverySettings,
        node_name: &str,
        offers: watch::Receiver<Vec<Offer>>,
        sockets: ActivatedSockets,
        earlier: Option<Earlier>,
    ) -> Result<Self, StartError> {
        let config = protocol::Config::default();
        let (known, opened) = match earlier {
            Some(earlier) => (Some(earlier.knowledge), Some(earlier.ended)),
            None => (None, None),
        };
        let entry = Entry { sockets, opened };
        Self::open(addresses, settings, node_name, offers, config, (entry, known)).await
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
        let addresses = Addresses::watch(settings.pinned(), Some(&settings.nic));
        let start = (Entry::default(), None);
        Self::open(&addresses, settings, node_name, offers, config, start).await
    }

    async fn open(
        addresses: &Addresses,
        settings: DiscoverySettings,
        node_name: &str,
        offers: watch::Receiver<Vec<Offer>>,
        config: protocol::Config,
        (entry, known): (Entry, Option<Knowledge>),
    ) -> Result<Self, StartError> {
        let instance_networks = settings.instance_networks.clone();
        let follow = addresses.follow(&settings.nic, settings.ip_type);
        let counters = Arc::new(Counters::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        // Before anything is started, so that a failed start leaves nothing behind.
        let stop_on_drop = stop.clone().drop_guard();
        let key_file = settings.key_file.clone();
        let key = key_file.as_deref().map(reload::load_first).transpose()?;
        let key = key.map(|keys| Arc::new(MeshKey::new(keys)));
        let (requests_in, requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let (leave_in, leave) = oneshot::channel();
        let (handed_in, handed) = mpsc::channel(1);
        let server = ExchangeServer {
            requests: requests_in,
            counters: counters.clone(),
            large: LargeBodies::new(),
            key: key.clone(),
        };
        let endpoint = Endpoint::open(
            settings,
            node_name,
            follow,
            server,
            tasks.clone(),
            stop.clone(),
            entry,
        )
        .await?;
        let node = endpoint.node();
        if let Some(before) = known.as_ref().and_then(Knowledge::node)
            && *before != node
        {
            let before = before.clone();
            return Err(StartError::Changed { before, now: node });
        }
        tracing::info!(%node, "discovery: listening");

        let search = endpoint.search();
        warn_of_long_sweep(&search, &config);
        let seed = rand::rng().random();
        let mut protocol =
            Protocol::new(node, search, config, seed).with_instance_networks(instance_networks);
        // Their effects are published below.
        let _ = protocol.handle(Duration::ZERO, Event::Networks(addresses.networks()));
        if let Some(known) = known {
            protocol.resume(Duration::ZERO, known);
        }
        let (instances_in, instances) = watch::channel(Arc::new(protocol.instances()));
        let (view_in, view) = watch::channel(Arc::new(View::of(&protocol)));

        let standing = endpoint.standing();
        let publishing = Publishing::new(instances_in, view_in, &protocol, counters.clone());
        let driver = Driver {
            protocol,
            addresses: addresses.clone(),
            endpoint,
            requests,
            offers,
            leave,
            handed,
            publishing,
            counters: counters.clone(),
            key: key.clone(),
            large: Arc::new(LargeBodies::new()),
            stop: stop.clone(),
        };
        tasks.spawn(driver.run());
        let read_key = key_file.zip(key.clone()).map(|(path, key)| {
            let again = Arc::new(Notify::new());
            tasks.spawn(reload::follow(path, key, again.clone(), stop.clone()));
            again
        });
        tasks.close();
        Ok(Self {
            standing,
            instances,
            view,
            counters,
            leave: Some(leave_in),
            key,
            read_key,
            handed: handed_in,
            tasks,
            _stop_on_drop: stop_on_drop,
            stop,
        })
    }

    /// The node itself as it is now, with the ports that were bound.
    pub fn node(&self) -> Node {
        self.standing.borrow().node.clone()
    }

    /// Says why no other node can reach this one now, if that is so.
    pub fn reachability(&self) -> Reachability {
        Reachability(self.standing.clone())
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

    /// The key that protects it, if it has one.
    pub fn mesh_key(&self) -> Option<&MeshKey> {
        self.key.as_deref()
    }

    /// Reads the key file now. Returns whether there is one.
    pub fn read_key(&self) -> bool {
        self.read_key.as_ref().map(|again| again.notify_one()).is_some()
    }

    /// What the next process of the node is to be handed; `None` if the node has stopped.
    pub async fn handed(&self) -> Option<Handed> {
        let (answer, answered) = oneshot::channel();
        self.handed.send(answer).await.ok()?;
        answered.await.ok()
    }

    /// Stops without a word to the peers: the next process of the node goes on. No socket is read any more when this
    /// returns.
    pub async fn stop(mut self) {
        drop(self.leave.take());
        self.ended(Duration::ZERO).await;
    }

    /// Withdraws the local instances, waits at most `limit` until every peer has acknowledged that, sends `leave` to
    /// all known nodes, and stops.
    pub async fn leave(mut self, limit: Duration) {
        if let Some(leave) = self.leave.take() {
            // Sending fails only if the driver has already ended.
            let _ = leave.send(limit);
        }
        self.ended(limit).await;
    }

    async fn ended(&self, limit: Duration) {
        // The driver bounds its own leave by `limit` and a second for peers to ask; the rest only drops connections.
        let ended = tokio::time::timeout(limit + Duration::from_secs(2), self.tasks.wait()).await;
        if ended.is_err() {
            tracing::warn!("discovery: did not end in time and is aborted");
            self.stop.cancel();
        }
    }
}

fn warn_of_long_sweep(search: &Search, config: &protocol::Config) {
    let (time, addresses) = (search.sweep_time(config), search.addresses());
    if time > LONG_SWEEP {
        let seconds = time.as_secs();
        tracing::warn!(
            "discovery.search: a sweep of {addresses} addresses takes {seconds} s, and nodes far from each other may not \
             meet before its end; set discovery.search.mask to the longest prefix that holds all nodes"
        );
    }
}
