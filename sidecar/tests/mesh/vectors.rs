//! The recorded traffic of the original (`vectors/`): our code parses it, writes the same bytes, computes the same
//! hashes, and gives equivalent answers from the same state.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sidecar::balance::service::{Instance, Offer};
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::{Action, Event, Protocol, Search};
use sidecar::mesh::wire::{
    Answer, Datagram, DatagramKind, Dropped, ExchangeKind, Node, NodeServices, NodeState, PATH_PREFIX,
    Request, ServiceList, membership_hash,
};

#[derive(Deserialize)]
struct Capture {
    datagrams: Vec<Packet>,
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Packet {
    t: f64,
    source: SocketAddr,
    payload: String,
}

#[derive(Deserialize)]
struct Exchange {
    t: f64,
    client: String,
    server: SocketAddr,
    request: String,
    response: String,
}

impl Exchange {
    fn kind(&self) -> ExchangeKind {
        let path = self.request.split(' ').nth(1).unwrap();
        ExchangeKind::named(path.strip_prefix(PATH_PREFIX).unwrap()).unwrap()
    }

    fn request(&self) -> Request {
        Request::parse(
            self.kind(),
            body(&self.request).as_bytes(),
            &mut Dropped::default(),
        )
        .unwrap()
    }

    fn answer(&self) -> Answer {
        Answer::parse(
            self.kind(),
            body(&self.response).as_bytes(),
            &mut Dropped::default(),
        )
        .unwrap()
    }
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}

fn capture() -> Capture {
    let mut capture: Capture =
        serde_json::from_str(include_str!("../vectors/discovery-capture.json")).unwrap();
    capture.exchanges.sort_by(|a, b| a.t.total_cmp(&b.t));
    capture
}

fn nodes(capture: &Capture) -> BTreeMap<SocketAddr, Node> {
    let nodes = capture.datagrams.iter().map(|packet| {
        let datagram = Datagram::parse(packet.payload.as_bytes()).unwrap();
        let Datagram {
            node_name,
            udp_port,
            tcp_port,
            ..
        } = datagram;
        let node = Node::new(&node_name, packet.source.ip(), udp_port, tcp_port).unwrap();
        (node.endpoint(), node)
    });
    nodes.collect()
}

#[test]
fn every_recorded_datagram_round_trips_to_the_byte() {
    let capture = capture();
    assert_eq!(capture.datagrams.len(), 116);
    for packet in &capture.datagrams {
        let datagram = Datagram::parse(packet.payload.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(datagram.encode()).unwrap(), packet.payload);
    }
}

#[test]
fn every_recorded_hash_is_reproduced() {
    let capture = capture();
    let nodes = nodes(&capture);
    assert_eq!(nodes.len(), 4);
    for packet in &capture.datagrams {
        let datagram = Datagram::parse(packet.payload.as_bytes()).unwrap();
        let expected = if packet.t < 60.0 {
            // Until its checks succeed, a node's peers are not healthy.
            membership_hash(nodes.values().filter(|node| node.address() == packet.source.ip()))
        } else {
            // The addresses differ only in the last digit, so they are ordered as in the map.
            membership_hash(nodes.values())
        };
        assert_eq!(*datagram.hash, *expected, "at {} s", packet.t);
    }
}

#[test]
fn every_recorded_exchange_round_trips_to_the_byte() {
    let capture = capture();
    assert_eq!(capture.exchanges.len(), 48);
    for exchange in &capture.exchanges {
        let written = String::from_utf8(exchange.request().body()).unwrap();
        assert_eq!(written, body(&exchange.request));
        let answered = exchange.answer().body().unwrap_or_default();
        assert_eq!(String::from_utf8(answered).unwrap(), body(&exchange.response));
    }
}

/// A node in the recorded state.
struct Recorded {
    protocol: Protocol,
    now: Duration,
}

impl Recorded {
    fn new(own: &Node, offers: &ServiceList) -> Self {
        let config = DiscoverySettings::default();
        let search = Search::new(own.datagram_address(), &config);
        let mut protocol = Protocol::new(own.clone(), search, Config::default(), 1);
        let offers = offers
            .iter()
            .map(|service| Offer {
                id: service.id(),
                instance: Instance {
                    address: service.socket_address().unwrap(),
                    weight: service.weight(),
                    at_node: true,
                },
            })
            .collect();
        protocol.handle(Duration::ZERO, Event::Offers(offers));
        Self {
            protocol,
            now: Duration::ZERO,
        }
    }

    /// Makes a node known; it is up once it answers with this list.
    fn learn(&mut self, node: &Node, list: Option<&ServiceList>) {
        let request = Request::Nodes(vec![NodeState {
            node: node.clone(),
            healthy: true,
        }]);
        let (_, actions) = self.protocol.serve(self.now, node.address(), request);
        let check = actions.iter().find_map(|action| match action {
            Action::Exchange { id, to, request, .. } if *to == node.endpoint() => Some((*id, request.kind())),
            _ => None,
        });
        let (id, kind) = check.expect("a new node is checked at once");
        assert_eq!(kind, ExchangeKind::Hash);
        if let Some(list) = list {
            let list = NodeServices {
                node: node.clone(),
                khala_nodes: list.clone(),
            };
            self.protocol.handle(
                self.now,
                Event::Answered {
                    id,
                    outcome: Ok(Answer::Local(list)),
                },
            );
            assert!(self.protocol.membership().is_up(node));
        }
    }
}

fn sorted(answer: Answer) -> Value {
    let mut value: Value = serde_json::from_slice(&answer.body().unwrap_or_else(|| b"null".into())).unwrap();
    if let Value::Array(elements) = &mut value {
        elements.sort_by_key(Value::to_string);
    }
    value
}

#[test]
fn from_the_recorded_state_the_answers_are_the_recorded_ones() {
    let capture = capture();
    let nodes = nodes(&capture);
    let mut offered: BTreeMap<SocketAddr, ServiceList> = nodes
        .keys()
        .map(|endpoint| (*endpoint, ServiceList::default()))
        .collect();
    let mut by_kind = BTreeMap::new();
    for exchange in &capture.exchanges {
        let own = &nodes[&exchange.server];
        let mut server = Recorded::new(own, &offered[&exchange.server]);
        for (endpoint, node) in nodes.iter().filter(|(_, node)| *node != own) {
            match exchange.answer() {
                // Only the answer shows which nodes were known.
                Answer::Nodes(states) => {
                    if let Some(state) = states.iter().find(|state| state.node == *node) {
                        server.learn(node, state.healthy.then_some(&offered[endpoint]));
                    }
                }
                _ => server.learn(node, Some(&offered[endpoint])),
            }
        }
        let client = exchange.client.parse().unwrap();
        let (answer, _) = server.protocol.serve(server.now, client, exchange.request());
        assert_eq!(sorted(answer), sorted(exchange.answer()), "at {} s", exchange.t);

        if let Request::Add(change) | Request::Remove(change) = exchange.request() {
            let list = offered.get_mut(&change.node.endpoint()).unwrap();
            *list = match exchange.kind() {
                ExchangeKind::Add => list.with(change.khala_node.clone()),
                _ => list.without(&change.khala_node),
            };
            assert_eq!(server.protocol.directory().services(&change.node), Some(&*list));
        }
        *by_kind.entry(exchange.kind().name()).or_insert(0) += 1;
    }
    let expected = [
        ("khala.add", 9),
        ("khala.hash", 4),
        ("khala.local", 12),
        ("khala.remove", 3),
        ("node", 20),
    ];
    assert_eq!(by_kind, BTreeMap::from(expected));
}

#[test]
fn a_search_of_an_unknown_node_gets_the_recorded_inform() {
    let capture = capture();
    let nodes = nodes(&capture);
    let informs = capture
        .datagrams
        .iter()
        .filter(|packet| packet.payload.contains("\"inform\""));
    for packet in informs.filter(|packet| packet.t < 60.0) {
        let own = nodes
            .values()
            .find(|node| node.address() == packet.source.ip())
            .unwrap();
        let other = nodes.values().find(|node| *node != own).unwrap();
        let mut node = Recorded::new(own, &ServiceList::default());
        let search = Datagram {
            kind: DatagramKind::Search,
            node_name: other.name().into(),
            udp_port: other.udp_port(),
            tcp_port: other.tcp_port(),
            hash: membership_hash([other]).into(),
            cookie: None,
        };
        let event = Event::Datagram {
            from: other.address(),
            datagram: search,
        };
        let actions = node.protocol.handle(node.now, event);
        let sent = actions.iter().find_map(|action| match action {
            Action::Send { to, datagram } => Some((*to, String::from_utf8(datagram.encode()).unwrap())),
            _ => None,
        });
        assert_eq!(sent, Some((other.datagram_address(), packet.payload.clone())));
    }
}
