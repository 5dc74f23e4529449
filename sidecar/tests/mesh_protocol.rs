//! One node's dealings with others, step by step: what it says, when, and what it makes of the answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use sidecar::balance::service::{Instance, Offer, ServiceId};
use sidecar::mesh::config::Config;
use sidecar::mesh::protocol::{Action, Event, Failure, Protocol, Search};
use sidecar::mesh::timing::Timing;
use sidecar::mesh::wire::{
    Answer, Datagram, DatagramKind, ExchangeKind, Node, NodeChange, NodeServices, NodeState, Request,
    ServiceList, ServiceNode,
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn node(name: &str, host: u8) -> Node {
    Node::new(name, IpAddr::from(Ipv4Addr::new(10, 0, 0, host)), 31000, 31000).unwrap()
}

fn offer(port: u16) -> Offer {
    let address = SocketAddr::from(([10, 0, 0, 1], port));
    let id = ServiceId {
        service: "s".to_owned(),
        zone: "z".to_owned(),
    };
    Offer {
        id,
        instance: Instance { address, weight: 10 },
    }
}

fn service(port: u16) -> ServiceNode {
    ServiceNode::from(&offer(port))
}

fn list(ports: &[u16]) -> ServiceList {
    ports.iter().map(|port| service(*port)).collect()
}

/// An exchange that the node has asked for.
#[derive(Debug)]
struct Asked {
    id: u64,
    to: SocketAddr,
    request: Request,
}

/// A node at 10.0.0.1, and the clock.
struct Lone {
    protocol: Protocol,
    now: Duration,
    sent: Vec<(SocketAddr, Datagram)>,
    asked: Vec<Asked>,
}

impl Lone {
    fn new() -> Self {
        let own = node("own", 1);
        let search = Search::new(
            own.datagram_address(),
            &Config {
                search_mask: 28,
                ..Config::default()
            },
        );
        let protocol = Protocol::new(own, search, Timing::default(), 7);
        Self {
            protocol,
            now: Duration::ZERO,
            sent: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn took(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { to, datagram } => self.sent.push((to, datagram)),
                Action::Exchange { id, to, request, .. } => self.asked.push(Asked { id, to, request }),
                Action::Publish => {}
            }
        }
    }

    fn event(&mut self, event: Event) {
        let actions = self.protocol.handle(self.now, event);
        self.took(actions);
    }

    fn serve(&mut self, from: &Node, request: Request) -> Answer {
        let (answer, actions) = self.protocol.serve(self.now, from.address(), request);
        self.took(actions);
        answer
    }

    /// Lets time pass, waking the node when it wants to be.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.protocol.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.event(Event::Wake);
        }
        self.now = end;
    }

    /// Takes the one exchange that it must have asked of a node.
    fn take_asked(&mut self, of: &Node) -> Asked {
        let index = self.asked.iter().position(|asked| asked.to == of.endpoint());
        self.asked
            .remove(index.unwrap_or_else(|| panic!("{of} was not asked; only {:?}", self.asked)))
    }

    fn nothing_asked(&self, of: &Node) {
        let asked: Vec<_> = self
            .asked
            .iter()
            .filter(|asked| asked.to == of.endpoint())
            .collect();
        assert!(asked.is_empty(), "{asked:?}");
    }

    fn answer(&mut self, asked: &Asked, answer: Answer) {
        self.event(Event::Answered {
            id: asked.id,
            outcome: Ok(answer),
        });
    }

    fn fail(&mut self, asked: &Asked, failure: Failure) {
        self.event(Event::Answered {
            id: asked.id,
            outcome: Err(failure),
        });
    }

    fn datagram(&mut self, kind: DatagramKind, from: &Node, hash: &str) {
        let datagram = Datagram {
            kind,
            node_name: from.name().into(),
            udp_port: from.udp_port(),
            tcp_port: from.tcp_port(),
            hash: hash.into(),
        };
        self.event(Event::Datagram {
            from: from.address(),
            datagram,
        });
    }

    /// Makes a node known and up, with this list.
    fn bring_up(&mut self, node: &Node, ports: &[u16]) {
        self.serve(
            node,
            Request::Nodes(vec![NodeState {
                node: node.clone(),
                healthy: true,
            }]),
        );
        let check = self.take_asked(node);
        assert_eq!(check.request.kind(), ExchangeKind::Local);
        self.answer(&check, local(node, ports));
        assert!(self.protocol.membership().is_up(node));
    }

    fn services(&self, node: &Node) -> Option<&ServiceList> {
        self.protocol.directory().services(node)
    }

    fn is_known(&self, node: &Node) -> bool {
        self.protocol
            .membership()
            .members()
            .any(|member| member.node == *node)
    }
}

fn local(node: &Node, ports: &[u16]) -> Answer {
    Answer::Local(NodeServices {
        node: node.clone(),
        khala_nodes: list(ports),
    })
}

fn change(node: &Node, port: u16) -> NodeChange {
    NodeChange {
        node: node.clone(),
        khala_node: service(port),
    }
}

#[test]
fn the_first_round_goes_out_at_once_and_a_second_soon_after() {
    let mut lone = Lone::new();
    assert_eq!(lone.protocol.next_deadline(), Some(Duration::ZERO));
    lone.bring_up(&node("other", 2), &[]);
    lone.pass(ms(50));
    // A /28 has fourteen hosts, one of them itself.
    assert_eq!(lone.sent.len(), 13);
    assert!(
        lone.sent
            .iter()
            .all(|(_, datagram)| datagram.kind == DatagramKind::Search)
    );
    lone.pass(ms(300));
    assert_eq!(
        lone.sent.len(),
        26,
        "the first round may have been lost, neighbour or not"
    );
    lone.pass(ms(50_000));
    assert_eq!(
        lone.sent.len(),
        26,
        "with a neighbour up it searches every minute"
    );
}

#[test]
fn a_node_that_searches_is_informed_and_checked_at_once() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.datagram(DatagramKind::Search, &other, "another hash");
    assert_eq!(lone.sent[0].0, other.datagram_address());
    assert_eq!(lone.sent[0].1.kind, DatagramKind::Inform);
    let check = lone.take_asked(&other);
    lone.answer(&check, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5])));

    lone.sent.clear();
    let hash = lone.protocol.membership().hash();
    lone.datagram(DatagramKind::Search, &other, &hash);
    assert!(lone.sent.is_empty(), "an equal hash needs no answer");
    lone.nothing_asked(&other);
}

#[test]
fn informs_are_bounded_whoever_asks_for_them() {
    let mut lone = Lone::new();
    for n in 0..5_000_u32 {
        let stranger = Node::new("x", Ipv4Addr::from_bits(n + 1).into(), 1, 1).unwrap();
        lone.datagram(DatagramKind::Search, &stranger, "h");
    }
    let informs = lone
        .sent
        .iter()
        .filter(|(_, datagram)| datagram.kind == DatagramKind::Inform)
        .count();
    assert_eq!(informs, 256);
}

#[test]
fn a_new_node_is_checked_again_and_again_until_it_is_up() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.datagram(DatagramKind::Search, &other, "");
    let mut times = Vec::new();
    for _ in 0..9 {
        let check = lone.take_asked(&other);
        times.push(lone.now);
        lone.fail(&check, Failure::Refused);
        while lone.asked.is_empty() {
            lone.pass(ms(1));
        }
    }
    assert!(times[3] < ms(160), "{times:?}");
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause <= ms(1101)), "{pauses:?}");
    let check = lone.take_asked(&other);
    lone.answer(&check, local(&other, &[]));
    assert!(lone.protocol.membership().is_up(&other));
}

#[test]
fn a_frozen_node_is_checked_again_at_once_and_down_after_three_timeouts() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    lone.pass(ms(450));
    for _ in 0..3 {
        let check = lone.take_asked(&other);
        assert_eq!(check.request.kind(), ExchangeKind::Hash);
        assert!(lone.protocol.membership().is_up(&other));
        lone.pass(ms(500));
        lone.fail(&check, Failure::Timeout);
    }
    assert!(!lone.protocol.membership().is_up(&other));
    assert_eq!(lone.services(&other), None);
    assert!(lone.now < ms(2000));
    lone.pass(ms(25));
    assert_eq!(lone.take_asked(&other).request.kind(), ExchangeKind::Local);
}

#[test]
fn a_refused_node_is_down_within_a_moment() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.pass(ms(450));
    let first = lone.now;
    for _ in 0..3 {
        let check = lone.take_asked(&other);
        lone.fail(&check, Failure::Refused);
        lone.pass(ms(30));
    }
    assert!(!lone.protocol.membership().is_up(&other));
    assert!(lone.now - first < ms(150));
}

#[test]
fn who_answers_under_another_name_takes_the_place() {
    let (mut lone, old, new) = (Lone::new(), node("old", 2), node("new", 2));
    lone.datagram(DatagramKind::Search, &old, "");
    let check = lone.take_asked(&old);
    lone.answer(&check, local(&new, &[5]));
    assert!(!lone.is_known(&old));
    assert!(lone.is_known(&new));
    assert_eq!(lone.services(&old), None);
    let check = lone.take_asked(&new);
    lone.answer(&check, local(&new, &[6]));
    assert_eq!(lone.services(&new), Some(&list(&[6])));

    lone.datagram(DatagramKind::Search, &node("newer", 2), "");
    assert!(!lone.is_known(&new), "a datagram of another node at its place");
}

#[test]
fn an_answer_older_than_what_came_meanwhile_is_asked_for_again() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    lone.pass(ms(300));
    lone.asked.clear();
    lone.pass(ms(800));
    let check = lone.take_asked(&other);
    lone.answer(&check, Answer::Hash(lone.protocol.directory().hash()));
    lone.datagram(DatagramKind::Search, &other, "it started anew?");
    let pull = lone.take_asked(&other);
    assert_eq!(pull.request.kind(), ExchangeKind::Local);
    assert_eq!(lone.serve(&other, Request::Add(change(&other, 6))), Answer::Done);
    lone.answer(&pull, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5, 6])));
    let again = lone.take_asked(&other);
    assert_eq!(again.request.kind(), ExchangeKind::Local);
    lone.answer(&again, local(&other, &[6]));
    assert_eq!(lone.services(&other), Some(&list(&[6])));
    lone.nothing_asked(&other);
}

#[test]
fn changes_are_told_in_order_one_at_a_time_until_they_are_taken() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.event(Event::Offers(vec![offer(5)]));
    lone.event(Event::Offers(vec![]));
    let own = lone.protocol.membership().own().clone();
    let add = lone.take_asked(&other);
    assert_eq!(add.request, Request::Add(change(&own, 5)));
    lone.nothing_asked(&other);
    lone.fail(&add, Failure::Refused);
    assert!(!lone.protocol.is_told());
    lone.pass(ms(35));
    let check = lone.take_asked(&other);
    assert_eq!(
        check.request.kind(),
        ExchangeKind::Hash,
        "a failure calls for a check first"
    );
    lone.answer(&check, Answer::Hash("".into()));
    lone.pass(ms(100));
    let add = lone.take_asked(&other);
    assert_eq!(add.request, Request::Add(change(&own, 5)));
    lone.answer(&add, Answer::Done);
    let remove = lone.take_asked(&other);
    assert_eq!(remove.request, Request::Remove(change(&own, 5)));
    lone.answer(&remove, Answer::Done);
    assert!(lone.protocol.is_told());
    lone.nothing_asked(&other);
}

#[test]
fn many_changes_are_told_as_one_list() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.event(Event::Offers((1..=9).map(offer).collect()));
    let told = lone.take_asked(&other);
    let Request::Local(services) = &told.request else {
        panic!("{told:?}")
    };
    assert_eq!(services.khala_nodes.len(), 9);
    lone.answer(&told, local(&other, &[]));
    assert!(lone.protocol.is_told());
}

#[test]
fn a_lasting_difference_is_looked_into_and_mended() {
    let mut lone = Lone::new();
    let (other, third, unknown) = (node("other", 2), node("third", 3), node("unknown", 4));
    lone.bring_up(&third, &[]);
    lone.bring_up(&other, &[]);
    for _ in 0..2 {
        lone.pass(ms(450));
        let check = lone.take_asked(&other);
        assert_eq!(check.request.kind(), ExchangeKind::Hash);
        lone.answer(&check, Answer::Hash("differs".into()));
    }
    // The third is busy with its check meanwhile.
    let check = lone.take_asked(&third);
    lone.answer(&check, Answer::Hash(lone.protocol.directory().hash()));
    let sync = lone.take_asked(&other);
    assert_eq!(
        sync.request,
        Request::Sync(lone.protocol.directory().everything())
    );
    lone.pass(ms(200));
    let own = lone.protocol.membership().own().clone();
    lone.answer(&sync, Answer::Diff(vec![own, third.clone(), unknown.clone()]));
    assert_eq!(lone.take_asked(&unknown).request.kind(), ExchangeKind::Local);
    lone.pass(ms(1000));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let asked = lone.take_asked(&third);
        kinds.push(asked.request.kind());
        lone.answer(&asked, local(&third, &[5]));
        lone.pass(ms(500));
    }
    assert!(kinds.contains(&ExchangeKind::Local), "{kinds:?}");
    assert_eq!(lone.services(&third), Some(&list(&[5])));
    assert_eq!(
        lone.take_asked(&other).request.kind(),
        ExchangeKind::Local,
        "it has our own list wrong"
    );
}

#[test]
fn a_message_of_a_node_that_is_not_up_is_not_applied_but_noticed() {
    let (mut lone, other, third) = (Lone::new(), node("other", 2), node("third", 3));
    lone.serve(&third, Request::Add(change(&other, 5)));
    assert!(!lone.is_known(&other), "another's word about it");
    assert_eq!(lone.serve(&other, Request::Add(change(&other, 5))), Answer::Done);
    assert_eq!(lone.services(&other), None);
    let check = lone.take_asked(&other);
    lone.answer(&check, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
    // Somebody else speaks in its name: it is asked itself.
    lone.pass(ms(1100));
    let check = lone.take_asked(&other);
    lone.answer(&check, Answer::Hash("".into()));
    lone.serve(&third, Request::Remove(change(&other, 5)));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
    assert_eq!(lone.take_asked(&other).request.kind(), ExchangeKind::Local);
}

#[test]
fn a_hint_during_a_check_makes_it_ask_once_more() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.datagram(DatagramKind::Search, &other, "");
    let check = lone.take_asked(&other);
    lone.serve(&other, Request::Add(change(&other, 5)));
    lone.answer(&check, local(&other, &[]));
    assert!(lone.protocol.membership().is_up(&other));
    let again = lone.take_asked(&other);
    assert_eq!(again.request.kind(), ExchangeKind::Local);
    lone.answer(&again, local(&other, &[5]));
    assert_eq!(lone.services(&other), Some(&list(&[5])));
}

#[test]
fn an_inform_leads_to_a_node_exchange_unless_the_difference_is_gone() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[]);
    lone.datagram(DatagramKind::Inform, &other, "it knows more");
    lone.pass(ms(40));
    let exchange = lone.take_asked(&other);
    assert_eq!(exchange.request.kind(), ExchangeKind::Nodes);
    let third = node("third", 3);
    lone.answer(
        &exchange,
        Answer::Nodes(vec![NodeState {
            node: third.clone(),
            healthy: false,
        }]),
    );
    lone.take_asked(&third);

    lone.datagram(DatagramKind::Inform, &other, "it knows more");
    let hash = lone.protocol.membership().hash();
    lone.datagram(DatagramKind::Search, &other, &hash);
    lone.pass(ms(40));
    lone.nothing_asked(&other);
}

#[test]
fn leaving_is_told_to_every_known_node_and_is_the_end() {
    let mut lone = Lone::new();
    lone.bring_up(&node("other", 2), &[]);
    lone.datagram(DatagramKind::Search, &node("down", 3), "");
    lone.sent.clear();
    lone.event(Event::Leave);
    let told: Vec<IpAddr> = lone.sent.iter().map(|(to, _)| to.ip()).collect();
    assert_eq!(told, [node("other", 2).address(), node("down", 3).address()]);
    assert!(
        lone.sent
            .iter()
            .all(|(_, d)| d.kind == DatagramKind::Leave && d.hash.is_empty())
    );
    assert_eq!(lone.protocol.next_deadline(), None);
    lone.asked.clear();
    lone.datagram(DatagramKind::Search, &node("new", 4), "");
    lone.serve(&node("new", 4), Request::Add(change(&node("new", 4), 5)));
    assert!(lone.asked.is_empty());
}

#[test]
fn a_leave_is_believed_only_from_its_own_address_and_name() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    lone.bring_up(&other, &[5]);
    lone.datagram(DatagramKind::Leave, &node("other", 3), "");
    lone.datagram(DatagramKind::Leave, &node("else", 2), "");
    assert!(lone.protocol.membership().is_up(&other));
    lone.datagram(DatagramKind::Leave, &other, "");
    assert!(!lone.is_known(&other));
    assert_eq!(lone.services(&other), None);
    // Others have not heard yet.
    lone.serve(
        &node("third", 3),
        Request::Nodes(vec![NodeState {
            node: other.clone(),
            healthy: true,
        }]),
    );
    assert!(!lone.is_known(&other));
}
