//! A network of state machines in simulated time, with faults from a seed.

mod agreement;
mod faults;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sidecar::balance::service::Offer;
use sidecar::mesh::config::Config;
use sidecar::mesh::protocol::{Action, Event, Failure, Protocol, Search};
use sidecar::mesh::timing::Timing;
use sidecar::mesh::wire::{Answer, Datagram, DatagramKind, Node, Request};

pub(crate) use self::traffic::Traffic;

const PORT: u16 = 31000;

/// How the network behaves.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The share of datagrams, and of requests, that do not arrive.
    pub(crate) loss: f64,
    /// Exchanges are carried and counted as TCP does it: lost segments are sent again and cost time. Without
    /// it a lost request is lost, and nothing is counted.
    pub(crate) tcp: bool,
    /// The share of answers that do not arrive though the request did.
    pub(crate) lost_answers: f64,
    /// The share of datagrams that arrive twice.
    pub(crate) duplicates: f64,
    /// One way, in milliseconds.
    pub(crate) delay: Range<u64>,
    /// The share of nodes that gossip; the others are as the original.
    pub(crate) gossiping: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            loss: 0.0,
            tcp: false,
            lost_answers: 0.0,
            duplicates: 0.0,
            delay: 0..3,
            gossiping: 0.0,
        }
    }
}

/// A place in the network; who lives there may change.
pub(crate) type Place = IpAddr;

/// Where nodes are numbered from, and how much of it they search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) network: Ipv4Addr,
    pub(crate) mask: u8,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            network: Ipv4Addr::new(172, 18, 0, 0),
            mask: 24,
        }
    }
}

struct Living {
    protocol: Protocol,
    /// Tells apart the programs that live at one place one after the other.
    incarnation: u64,
    started: Duration,
    gossips: bool,
    offers: Vec<Offer>,
    frozen: bool,
    /// What arrived while it was frozen: the kernel keeps it.
    kept: Vec<Arrival>,
    /// When it is next woken.
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
        /// When the asker hangs up.
        until: Duration,
    },
    Answered {
        incarnation: u64,
        id: u64,
        outcome: Result<Answer, Failure>,
        /// Who answers says that it gossips.
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
    /// Exchanges that have not ended: who asks, and its number there.
    under_way: HashSet<(Place, u64, u64)>,
    /// Connections that are kept between exchanges.
    kept: HashSet<(Place, Place)>,
    traffic: BTreeMap<Place, Traffic>,
    /// Whether any node's view may have changed since agreement was last looked at.
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
            changed: true,
        }
    }

    pub(crate) fn set_network(&mut self, network: Network) {
        self.network = network;
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
        let config = Config {
            search_mask: self.layout.mask,
            ..Config::default()
        };
        let search = Search::new(node.datagram_address(), &config);
        self.sequence += 1;
        let protocol = Protocol::new(node, search, Timing::default(), self.rng.random());
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

    /// The time since the world began.
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

    /// Does what comes next, unless that is after the end.
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

    fn deliver(&mut self, place: Place, arrival: Arrival) {
        let Some(living) = self.living.get_mut(&place) else {
            // Nobody there: the kernel refuses connections.
            if let Arrival::Request { from, asker, id, .. } = arrival {
                let outcome = Err(Failure::Refused);
                self.answer_arrives(
                    from,
                    Arrival::Answered {
                        incarnation: asker,
                        id,
                        outcome,
                        gossips: None,
                    },
                );
            }
            return;
        };
        if living.frozen {
            living.kept.push(arrival);
            return;
        }
        let time = self.now - living.started;
        match arrival {
            // One that was put forward leaves its old event behind.
            Arrival::Wake if living.wake.is_some_and(|at| at > self.now) => {}
            Arrival::Wake => {
                living.wake = None;
                if living.protocol.next_deadline().is_some_and(|due| due <= time) {
                    self.handle(place, Event::Wake);
                } else {
                    self.schedule(place);
                }
            }
            Arrival::Datagram { from, datagram, size } => {
                self.received_datagram(place, size);
                self.handle(place, Event::Datagram { from, datagram });
            }
            Arrival::Disconnected(endpoint) => self.handle(place, Event::Disconnected(endpoint)),
            Arrival::Request {
                from,
                asker,
                id,
                request,
                gossips,
                until,
            } => {
                let answers_gossip = living.gossips;
                let (answer, actions) = if gossips && answers_gossip {
                    living.protocol.serve_gossiping(time, from, request)
                } else {
                    living.protocol.serve(time, from, request)
                };
                self.act(place, actions);
                if !self.chance(self.network.lost_answers) && !self.apart(place, from) {
                    let size = self.answered(place, from, &answer);
                    let at = self.now + self.transfer(size);
                    if at < until {
                        let answered = Arrival::Answered {
                            incarnation: asker,
                            id,
                            outcome: Ok(answer),
                            gossips: answers_gossip.then_some(SocketAddr::new(place, PORT)),
                        };
                        self.arrive(at, from, answered);
                    }
                }
            }
            Arrival::Answered {
                incarnation,
                id,
                outcome,
                gossips,
            } => {
                // The first of answer and timeout counts.
                if self.under_way.remove(&(place, incarnation, id)) && incarnation == living.incarnation {
                    let gossips = gossips.filter(|_| living.gossips);
                    if let Some(endpoint) = gossips {
                        self.handle(place, Event::Gossips(endpoint));
                    }
                    self.handle(place, Event::Answered { id, outcome });
                }
            }
        }
    }

    fn answer_arrives(&mut self, to: Place, arrival: Arrival) {
        let at = self.now + self.delay();
        self.arrive(at, to, arrival);
    }

    fn handle(&mut self, place: Place, event: Event) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        let time = self.now - living.started;
        let actions = living.protocol.handle(time, event);
        self.act(place, actions);
    }

    fn act(&mut self, place: Place, actions: Vec<Action>) {
        let Living {
            incarnation, gossips, ..
        } = self.living[&place];
        for action in actions {
            match action {
                Action::Publish => self.changed = true,
                Action::Gone { .. } => {}
                Action::Send { to, datagram } => self.send(place, to.ip(), datagram),
                Action::Exchange {
                    id,
                    to,
                    request,
                    timeout,
                } => {
                    let late = Arrival::Answered {
                        incarnation,
                        id,
                        outcome: Err(Failure::Timeout),
                        gossips: None,
                    };
                    let until = self.now + timeout;
                    self.arrive(until, place, late);
                    self.under_way.insert((place, incarnation, id));
                    let at = self.asked(place, to, &request).map(|pause| self.now + pause);
                    // Later it is the request of somebody who has hung up.
                    if let Some(at) = at.filter(|at| *at < until) {
                        let asked = Arrival::Request {
                            from: place,
                            asker: incarnation,
                            id,
                            request,
                            gossips,
                            until,
                        };
                        self.arrive(at, to.ip(), asked);
                    }
                }
            }
        }
        self.schedule(place);
    }

    fn send(&mut self, from: Place, to: Place, datagram: Datagram) {
        let bytes = datagram.encode();
        self.sent_datagram(from, bytes.len());
        if !self.names.contains_key(&to) || self.apart(from, to) || self.chance(self.network.loss) {
            return;
        }
        // Every datagram goes through the bytes that the wire would carry.
        assert_eq!(Datagram::parse(&bytes).as_ref(), Ok(&datagram));
        let twice = self.chance(self.network.duplicates) && datagram.kind != DatagramKind::Leave;
        for _ in 0..=usize::from(twice) {
            let at = self.now + self.delay();
            self.arrive(
                at,
                to,
                Arrival::Datagram {
                    from,
                    datagram: datagram.clone(),
                    size: bytes.len(),
                },
            );
        }
    }

    fn schedule(&mut self, place: Place) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        let Some(due) = living.protocol.next_deadline() else {
            return;
        };
        let at = (living.started + due).max(self.now);
        if living.wake.is_none_or(|wake| at < wake) {
            living.wake = Some(at);
            self.arrive(at, place, Arrival::Wake);
        }
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
