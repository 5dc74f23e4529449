//! A network of state machines in simulated time, with faults from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sidecar::balance::service::{Instance, Offer, ServiceId};
use sidecar::mesh::config::Config;
use sidecar::mesh::protocol::{Action, Event, Failure, Protocol, Search};
use sidecar::mesh::timing::Timing;
use sidecar::mesh::wire::{Answer, Datagram, DatagramKind, Node, Request};

const PORT: u16 = 31000;

/// How the network behaves.
#[derive(Debug, Clone)]
pub struct Network {
    /// The share of datagrams, and of requests, that do not arrive.
    pub loss: f64,
    /// The share of answers that do not arrive though the request did.
    pub lost_answers: f64,
    /// The share of datagrams that arrive twice.
    pub duplicates: f64,
    /// One way, in milliseconds.
    pub delay: Range<u64>,
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
pub type Place = IpAddr;

struct Living {
    protocol: Protocol,
    /// Tells apart the programs that live at one place one after the other.
    incarnation: u64,
    started: Duration,
    offers: Vec<Offer>,
    frozen: bool,
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
}

pub struct World {
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
}

impl World {
    pub fn new(seed: u64, network: Network) -> Self {
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
        }
    }

    pub fn set_network(&mut self, network: Network) {
        self.network = network;
    }

    /// Starts a node at a new place.
    pub fn start(&mut self) -> Place {
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
        };
        self.living.insert(place, living);
        self.arrive(self.now, place, Arrival::Wake);
    }

    pub fn kill(&mut self, place: Place) {
        self.living.remove(&place);
    }

    /// Kills what lives there and starts it again at once, knowing nothing.
    pub fn restart(&mut self, place: Place) {
        self.kill(place);
        self.boot(place);
    }

    /// As a container made anew: another name at the same address.
    pub fn restart_as_another(&mut self, place: Place) {
        self.sequence += 1;
        self.names.insert(place, format!("another{}", self.sequence));
        self.restart(place);
    }

    pub fn leave(&mut self, place: Place) {
        self.handle(place, Event::Leave);
        self.kill(place);
    }

    pub fn freeze(&mut self, place: Place) {
        if let Some(living) = self.living.get_mut(&place) {
            living.frozen = true;
        }
    }

    pub fn thaw(&mut self, place: Place) {
        if let Some(living) = self.living.get_mut(&place) {
            living.frozen = false;
            self.arrive(self.now, place, Arrival::Wake);
        }
    }

    pub fn partition(&mut self, one_side: &[Place]) {
        self.one_side = one_side.iter().copied().collect();
    }

    pub fn heal(&mut self) {
        self.one_side.clear();
    }

    pub fn offer(&mut self, place: Place, service: &str, weight: u32) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        let port = 10_000 + u16::try_from(living.offers.len()).unwrap();
        living.offers.push(Offer {
            id: ServiceId {
                service: format!("my-service-{service}"),
                zone: "example".into(),
            },
            instance: Instance {
                address: SocketAddr::new(place, port),
                weight,
            },
        });
        let offers = living.offers.clone();
        self.handle(place, Event::Offers(offers));
    }

    pub fn withdraw_one(&mut self, place: Place) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        living.offers.pop();
        let offers = living.offers.clone();
        self.handle(place, Event::Offers(offers));
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until all that live and are not frozen agree, and that they know exactly one another; fails
    /// after the given simulated time.
    pub fn agree_within(&mut self, time: Duration) {
        let end = self.now + time;
        while let Err(why) = self.agree() {
            if !self.step(end) {
                let seed = self.seed;
                panic!(
                    "seed {seed}: no agreement {time:?} later, at {:?}: {why}",
                    self.now
                );
            }
        }
    }

    /// Checks that each side of a partition agrees in itself.
    pub fn agree_per_side(&self) {
        for side in [true, false] {
            let places = self
                .awake()
                .filter(|place| self.one_side.contains(place) == side)
                .collect();
            if let Err(why) = self.agree_among(&places) {
                panic!("seed {}: one side disagrees: {why}", self.seed);
            }
        }
    }

    pub fn anyone_knows(&self, place: Place) -> bool {
        let mut all = self.living.values();
        all.any(|living| {
            living
                .protocol
                .membership()
                .members()
                .any(|member| member.node.address() == place)
        })
    }

    /// How many nodes are known at a place, whatever their health.
    pub fn known_names(&self, place: Place) -> usize {
        self.living[&place].protocol.membership().members().count() + 1
    }

    fn awake(&self) -> impl Iterator<Item = Place> {
        self.living
            .iter()
            .filter(|(_, living)| !living.frozen)
            .map(|(place, _)| *place)
    }

    fn agree(&self) -> Result<(), String> {
        self.agree_among(&self.awake().collect())
    }

    fn agree_among(&self, places: &BTreeSet<Place>) -> Result<(), String> {
        let nodes: BTreeSet<&Node> = places
            .iter()
            .map(|p| self.living[p].protocol.membership().own())
            .collect();
        for place in places {
            let protocol = &self.living[place].protocol;
            let seen: BTreeSet<&Node> = protocol.membership().healthy().iter().collect();
            if seen != nodes {
                let lacks: Vec<_> = nodes.difference(&seen).collect();
                let ghosts: Vec<_> = seen.difference(&nodes).collect();
                return Err(format!("{place} lacks {lacks:?}, has ghosts {ghosts:?}"));
            }
            for other in places {
                let own = self.living[other].protocol.directory().local();
                let held = protocol.directory().services(&own.node);
                if held != Some(&own.khala_nodes) {
                    return Err(format!("{place} has a wrong list of {other}: {held:?}"));
                }
            }
        }
        Ok(())
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
            return;
        }
        let time = self.now - living.started;
        match arrival {
            Arrival::Wake => {
                if living.protocol.next_deadline().is_some_and(|due| due <= time) {
                    self.handle(place, Event::Wake);
                } else {
                    self.schedule(place);
                }
            }
            Arrival::Datagram { from, datagram } => self.handle(place, Event::Datagram { from, datagram }),
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
                Action::Publish => {}
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
        let living = &self.living[&place];
        if let Some(due) = living.protocol.next_deadline() {
            let at = (living.started + due).max(self.now);
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
