//! A network of state machines in simulated time, with faults from a seed.

mod convergence;
mod delivery;
mod faults;
mod network;
mod sealing;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sidecar::balance::service::Offer;
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::{Failure, Protocol, Search};
use sidecar::mesh::wire::{Answer, Datagram, Node, Request};

pub(crate) use self::network::{Layout, Network};
use self::sealing::Sealing;
pub(crate) use self::traffic::Traffic;

const PORT: u16 = 31000;

/// An address in the network; the node there may be replaced.
pub(crate) type Place = IpAddr;

struct Living {
    protocol: Protocol,
    /// Distinguishes successive programs at one place.
    incarnation: u64,
    started: Duration,
    gossips: bool,
    offers: Vec<Offer>,
    frozen: bool,
    /// What arrived while the node was frozen: the kernel keeps it.
    kept: Vec<Arrival>,
    /// The time of its next wake-up.
    wake: Option<Duration>,
}

enum Arrival {
    Wake,
    Datagram {
        from: Place,
        datagram: Datagram,
        size: usize,
    },
    Request {
        from: Place,
        asker: u64,
        id: u64,
        request: Request,
        gossips: bool,
        /// When the sender's timeout expires.
        until: Duration,
    },
    Answered {
        incarnation: u64,
        id: u64,
        outcome: Result<Answer, Failure>,
        /// The answering node, if it announces that it gossips.
        gossips: Option<SocketAddr>,
    },
    Disconnected(SocketAddr),
}

pub(crate) struct World {
    seed: u64,
    now: Duration,
    rng: StdRng,
    network: Network,
    layout: Layout,
    living: BTreeMap<Place, Living>,
    names: BTreeMap<Place, String>,
    arrivals: BTreeMap<(Duration, u64), (Place, Arrival)>,
    sequence: u64,
    one_side: BTreeSet<Place>,
    /// Exchanges that have not ended: the sender's place, incarnation and id.
    under_way: HashSet<(Place, u64, u64)>,
    /// Connections that are kept between exchanges.
    kept: HashSet<(Place, Place)>,
    traffic: BTreeMap<Place, Traffic>,
    /// With a mesh key, what seals.
    sealing: Option<Sealing>,
    /// Whether any node's view may have changed since convergence was last checked.
    changed: bool,
}

impl World {
    pub(crate) fn new(seed: u64, network: Network) -> Self {
        Self::laid_out(seed, network, Layout::default())
    }

    pub(crate) fn laid_out(seed: u64, network: Network, layout: Layout) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            network,
            layout,
            living: BTreeMap::new(),
            names: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            sequence: 0,
            one_side: BTreeSet::new(),
            under_way: HashSet::new(),
            kept: HashSet::new(),
            traffic: BTreeMap::new(),
            sealing: None,
            changed: true,
        }
    }

    pub(crate) fn set_network(&mut self, network: Network) {
        self.network = network;
    }

    /// Gives every node the same mesh key.
    #[allow(dead_code, reason = "the mesh-scale example uses it")]
    pub(crate) fn seal(&mut self) {
        self.sealing = Some(Sealing::default());
    }

    /// Starts a node at a new place.
    pub(crate) fn start(&mut self) -> Place {
        let host = u32::try_from(self.names.len() + 2).unwrap();
        assert!(host < 1 << (32 - self.layout.mask), "the network is full");
        let place = IpAddr::from(Ipv4Addr::from_bits(self.layout.network.to_bits() + host));
        self.names.insert(place, format!("node{host}"));
        self.boot(place);
        place
    }

    fn boot(&mut self, place: Place) {
        let node = Node::new(&self.names[&place], place, PORT, PORT).unwrap();
        let config = DiscoverySettings {
            search_mask: self.layout.mask,
            ..DiscoverySettings::default()
        };
        let search = Search::new(node.datagram_address(), &config);
        self.sequence += 1;
        let protocol = Protocol::new(node, search, Config::default(), self.rng.random());
        let gossips = self.chance(self.network.gossiping);
        let living = Living {
            protocol,
            gossips,
            incarnation: self.sequence,
            started: self.now,
            offers: Vec::new(),
            frozen: false,
            kept: Vec::new(),
            wake: Some(self.now),
        };
        self.living.insert(place, living);
        self.arrive(self.now, place, Arrival::Wake);
    }

    /// The time since the start of the simulation.
    #[allow(dead_code, reason = "the mesh-scale example uses it")]
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    fn arrive(&mut self, at: Duration, place: Place, arrival: Arrival) {
        self.sequence += 1;
        self.arrivals.insert((at, self.sequence), (place, arrival));
    }

    /// Delivers what arrives next, if it arrives before the end.
    fn step(&mut self, end: Duration) -> bool {
        match self.arrivals.first_key_value() {
            Some(((at, _), _)) if *at <= end => {}
            _ => return false,
        }
        let Some(((at, _), (place, arrival))) = self.arrivals.pop_first() else {
            return false;
        };
        self.now = at;
        self.deliver(place, arrival);
        true
    }

    fn apart(&self, one: Place, other: Place) -> bool {
        self.one_side.contains(&one) != self.one_side.contains(&other)
    }

    fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share)
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(self.network.delay.clone()))
    }
}
