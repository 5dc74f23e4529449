//! A network of state machines in simulated time, with faults from a seed.

mod agreement;
mod faults;

use std::collections::{BTreeMap, BTreeSet};
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

const PORT: u16 = 31000;

/// How the network behaves.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The share of datagrams, and of requests, that do not arrive.
    pub(crate) loss: f64,
    /// The share of answers that do not arrive though the request did.
    pub(crate) lost_answers: f64,
    /// The share of datagrams that arrive twice.
    pub(crate) duplicates: f64,
    /// One way, in milliseconds.
    pub(crate) delay: Range<u64>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            loss: 0.0,
            lost_answers: 0.0,
            duplicates: 0.0,
            delay: 0..3,
        }
    }
}

/// A place in the network; who lives there may change.
pub(crate) type Place = IpAddr;

struct Living {
    protocol: Protocol,
    /// Tells apart the programs that live at one place one after the other.
    incarnation: u64,
    started: Duration,
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
    },
    Request {
        from: Place,
        asker: u64,
        id: u64,
        request: Request,
    },
    Answered {
        incarnation: u64,
        id: u64,
        outcome: Result<Answer, Failure>,
    },
    Disconnected(SocketAddr),
}

pub(crate) struct World {
    seed: u64,
    now: Duration,
    rng: StdRng,
    network: Network,
    living: BTreeMap<Place, Living>,
    names: BTreeMap<Place, String>,
    arrivals: BTreeMap<(Duration, u64), (Place, Arrival)>,
    sequence: u64,
    one_side: BTreeSet<Place>,
    ended: BTreeSet<(Place, u64, u64)>,
    /// Whether any node's view may have changed since agreement was last looked at.
    changed: bool,
}

impl World {
    pub(crate) fn new(seed: u64, network: Network) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            network,
            living: BTreeMap::new(),
            names: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            sequence: 0,
            one_side: BTreeSet::new(),
            ended: BTreeSet::new(),
            changed: true,
        }
    }

    pub(crate) fn set_network(&mut self, network: Network) {
        self.network = network;
    }

    /// Starts a node at a new place.
    pub(crate) fn start(&mut self) -> Place {
        let host = u8::try_from(self.names.len() + 2).unwrap();
        let place = IpAddr::from(Ipv4Addr::new(172, 18, 0, host));
        self.names.insert(place, format!("node{host}"));
        self.boot(place);
        place
    }

    fn boot(&mut self, place: Place) {
        let node = Node::new(&self.names[&place], place, PORT, PORT).unwrap();
        let search = Search::new(node.datagram_address(), &Config::default());
        self.sequence += 1;
        let protocol = Protocol::new(node, search, Timing::default(), self.rng.random());
        let living = Living {
            protocol,
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
            Arrival::Datagram { from, datagram } => self.handle(place, Event::Datagram { from, datagram }),
            Arrival::Disconnected(endpoint) => self.handle(place, Event::Disconnected(endpoint)),
            Arrival::Request {
                from,
                asker,
                id,
                request,
            } => {
                let (answer, actions) = living.protocol.serve(time, from, request);
                self.act(place, actions);
                if !self.chance(self.network.lost_answers) && !self.apart(place, from) {
                    let outcome = Ok(answer);
                    self.answer_arrives(
                        from,
                        Arrival::Answered {
                            incarnation: asker,
                            id,
                            outcome,
                        },
                    );
                }
            }
            Arrival::Answered {
                incarnation,
                id,
                outcome,
            } => {
                // The first of answer and timeout counts.
                if incarnation == living.incarnation && self.ended.insert((place, incarnation, id)) {
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
        let incarnation = self.living[&place].incarnation;
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
                    };
                    self.arrive(self.now + timeout, place, late);
                    if !self.apart(place, to.ip()) && !self.chance(self.network.loss) {
                        let at = self.now + self.delay();
                        let asked = Arrival::Request {
                            from: place,
                            asker: incarnation,
                            id,
                            request,
                        };
                        self.arrive(at, to.ip(), asked);
                    }
                }
            }
        }
        self.schedule(place);
    }

    fn send(&mut self, from: Place, to: Place, datagram: Datagram) {
        if !self.names.contains_key(&to) || self.apart(from, to) || self.chance(self.network.loss) {
            return;
        }
        // Every datagram goes through the bytes that the wire would carry.
        assert_eq!(Datagram::parse(&datagram.encode()).as_ref(), Ok(&datagram));
        let twice = self.chance(self.network.duplicates) && datagram.kind != DatagramKind::Leave;
        for _ in 0..=usize::from(twice) {
            let at = self.now + self.delay();
            self.arrive(
                at,
                to,
                Arrival::Datagram {
                    from,
                    datagram: datagram.clone(),
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
