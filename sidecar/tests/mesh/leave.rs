//! A `leave` in a node's name, which anybody can forge: the node is asked.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::gossip::{bring_up, says};
use crate::common::lone::{Asked, Lone, local, ms, node, offer};
use crate::common::loopback::{self, Subnet, eventually, eventually_in};
use sidecar::balance::service::LastChoice;
use sidecar::mesh::protocol::{Departure, Event, Failure};
use sidecar::mesh::wire::{Answer, Datagram, DatagramKind, ExchangeKind, Node};

/// Whether the one instance of the peer is offered, or why it is the last choice; `None` if it is gone.
fn standing(lone: &Lone) -> Option<Result<(), LastChoice>> {
    let instances = lone.protocol.instances();
    let offered = instances.offered.values().flatten().map(|_| Ok(()));
    let last_choice = instances.last_choice.values().flatten().map(|(_, why)| Err(*why));
    offered.chain(last_choice).next()
}

const OFFERED: Option<Result<(), LastChoice>> = Some(Ok(()));
const CLAIMED: Option<Result<(), LastChoice>> = Some(Err(LastChoice::LeaveClaimed));

fn leave(lone: &mut Lone, other: &Node) {
    lone.datagram(DatagramKind::Leave, other, "");
}

/// A peer that gossips, in whose name a `leave` has come, and the question.
fn claimed() -> (Lone, Node, Asked) {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    lone.pass(ms(5));
    lone.asked.clear();
    assert_eq!(standing(&lone), OFFERED);
    leave(&mut lone, &other);
    let asked = lone.take_asked(&other);
    assert_eq!(asked.request.kind(), ExchangeKind::Local);
    (lone, other, asked)
}

/// Lets time pass in which the peer sends datagrams.
fn pass_gossiping(lone: &mut Lone, other: &Node, time: u64) {
    for _ in 0..time / 10 {
        says(lone, DatagramKind::Inform, other, &[]);
        lone.pass(ms(10));
    }
}

fn answer(lone: &mut Lone, other: &Node, asked: &Asked) {
    lone.event(Event::Gossips(other.endpoint()));
    lone.answer(asked, local(other, &[5]));
}

#[test]
fn a_peer_that_answers_stays_and_its_instances_are_the_last_choice_until_then() {
    let (mut lone, other, asked) = claimed();
    assert_eq!(standing(&lone), CLAIMED);
    assert!(lone.protocol.membership().is_up(&other));
    lone.pass(ms(20));
    assert_eq!(standing(&lone), CLAIMED);
    answer(&mut lone, &other, &asked);
    assert_eq!(standing(&lone), OFFERED);
    assert_eq!((lone.gone, lone.stayed), (vec![], vec![other]));
}

#[test]
fn a_peer_whose_port_is_closed_or_that_answers_that_it_leaves_is_gone_at_once() {
    for failure in [Failure::Refused, Failure::Leaving] {
        let (mut lone, other, asked) = claimed();
        lone.fail(&asked, failure);
        assert!(!lone.is_known(&other));
        assert_eq!(standing(&lone), None);
        assert_eq!((lone.gone, lone.stayed), (vec![(other, Departure::Left)], vec![]));
    }
}

#[test]
fn an_exchange_that_began_at_the_moment_of_the_leave_does_not_decide_about_it() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    lone.pass(ms(5));
    lone.asked.clear();
    lone.event(Event::Offers(vec![offer(9)]));
    let push = lone.take_asked(&other);
    assert_eq!(push.request.kind(), ExchangeKind::Add);
    leave(&mut lone, &other);
    lone.event(Event::Gossips(other.endpoint()));
    lone.answer(&push, Answer::Done);
    assert_eq!(lone.stayed, [], "it was answered before the leave");
    let asked = lone.take_asked(&other);
    lone.fail(&asked, Failure::Refused);
    assert_eq!(lone.gone, [(other, Departure::Left)]);
}

#[test]
fn further_leaves_change_nothing_for_a_second_and_cause_one_question_at_its_end() {
    let (mut lone, other, asked) = claimed();
    answer(&mut lone, &other, &asked);
    let answered = lone.now;
    while lone.now < answered + ms(990) {
        leave(&mut lone, &other);
        assert_eq!(standing(&lone), OFFERED);
        lone.nothing_asked(&other);
        pass_gossiping(&mut lone, &other, 10);
    }
    pass_gossiping(&mut lone, &other, 20);
    let again = lone.take_asked(&other);
    assert_eq!(standing(&lone), CLAIMED);
    answer(&mut lone, &other, &again);
    assert_eq!(standing(&lone), OFFERED);
    pass_gossiping(&mut lone, &other, 1_100);
    assert_eq!(standing(&lone), OFFERED, "without another leave");
    assert_eq!(lone.stayed.len(), 2);
}

#[test]
fn a_peer_that_does_not_answer_within_a_second_has_missed_a_probe() {
    let (mut lone, other, asked) = claimed();
    assert_eq!(asked.timeout, ms(1_000));
    pass_gossiping(&mut lone, &other, 990);
    assert_eq!(standing(&lone), CLAIMED);
    pass_gossiping(&mut lone, &other, 10);
    assert_eq!(standing(&lone), OFFERED, "for a second at most");
    let peer = lone.protocol.membership().get(other.endpoint()).unwrap();
    assert!(peer.unanswered() >= 2, "{:?}", peer.state());
    lone.fail(&asked, Failure::Timeout);
    lone.pass(ms(700));
    assert!(!lone.protocol.membership().is_up(&other));
    assert_eq!(
        standing(&lone),
        Some(Err(LastChoice::NodeDown)),
        "it may be frozen"
    );
    assert_eq!(lone.gone, [(other, Departure::Down(Failure::Timeout))]);
}

#[test]
fn a_peer_that_does_not_gossip_is_asked_as_well() {
    let other = node("original", 2);
    let up = || {
        let mut lone = Lone::new();
        lone.bring_up(&other, &[5]);
        lone.pass(ms(5));
        while let Some(asked) = lone.asked.pop() {
            let hash = lone.protocol.directory().hash();
            lone.answer(&asked, Answer::Hash(hash));
        }
        leave(&mut lone, &other);
        assert_eq!(standing(&lone), CLAIMED);
        let asked = lone.take_asked(&other);
        (lone, asked)
    };
    let (mut lone, asked) = up();
    let hash = lone.protocol.directory().hash();
    lone.answer(&asked, Answer::Hash(hash));
    assert_eq!(standing(&lone), OFFERED);

    let (mut lone, asked) = up();
    lone.pass(ms(1_000));
    lone.fail(&asked, Failure::Timeout);
    assert_eq!(standing(&lone), OFFERED, "one of three checks has failed");
    assert_eq!(
        lone.protocol
            .membership()
            .get(other.endpoint())
            .unwrap()
            .vitals()
            .unwrap()
            .failed_checks,
        1
    );

    let (mut lone, asked) = up();
    lone.fail(&asked, Failure::Refused);
    assert_eq!(standing(&lone), None);
}

#[test]
fn an_answer_to_an_earlier_question_does_not_refute_a_leave() {
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    lone.asked.clear();
    lone.event(Event::Offers(vec![offer(9)]));
    let earlier = lone.take_asked(&other);
    lone.pass(ms(5));
    leave(&mut lone, &other);
    lone.nothing_asked(&other);
    lone.event(Event::Gossips(other.endpoint()));
    lone.answer(&earlier, Answer::Done);
    let asked = lone.take_asked(&other);
    lone.fail(&asked, Failure::Leaving);
    assert!(!lone.is_known(&other));
}

#[test]
fn a_fault_of_this_machine_says_nothing_about_a_peer_that_is_said_to_leave() {
    let (mut lone, other, asked) = claimed();
    lone.fail(&asked, Failure::Own);
    assert_eq!(standing(&lone), OFFERED);
    assert_eq!(
        lone.protocol
            .membership()
            .get(other.endpoint())
            .unwrap()
            .unanswered(),
        0
    );
}

#[test]
fn a_hundred_forged_leaves_a_second_ask_once_a_second() {
    const ANSWER_TIME: u64 = 3;
    let (mut lone, other) = (Lone::new(), node("other", 2));
    bring_up(&mut lone, &other);
    lone.asked.clear();
    let (mut last_choice, mut questions) = (0, 0);
    for step in 0..10_000_u64 {
        if step % 10 == 0 {
            leave(&mut lone, &other);
        }
        let asked = lone.asked.iter().position(|asked| asked.to == other.endpoint());
        if let Some(asked) = asked.map(|index| lone.asked.remove(index)) {
            questions += 1;
            lone.pass(ms(ANSWER_TIME));
            last_choice += ANSWER_TIME;
            assert_eq!(standing(&lone), CLAIMED);
            answer(&mut lone, &other, &asked);
        }
        assert_eq!(standing(&lone), OFFERED, "after {step} ms");
        says(&mut lone, DatagramKind::Inform, &other, &[]);
        lone.pass(ms(1));
    }
    assert!((9..=11).contains(&questions), "{questions} questions in 10 s");
    assert!(last_choice < 100, "the last choice for {last_choice} ms of 10 s");
    assert_eq!(lone.gone, []);
}

/// Sends a `leave` in a node's name from another socket at its address.
async fn forge(node: &Node, to: SocketAddr) {
    let socket = tokio::net::UdpSocket::bind((node.address(), 0)).await.unwrap();
    let datagram = Datagram {
        kind: DatagramKind::Leave,
        node_name: node.name().into(),
        udp_port: node.udp_port(),
        tcp_port: node.tcp_port(),
        hash: "".into(),
        cookie: None,
    };
    socket.send_to(&datagram.encode(), to).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_leave_is_refuted_by_its_node_and_a_real_one_confirmed() {
    let subnet = Subnet::new();
    let offers = vec![loopback::offer("a", subnet.address(2), 8000, 10)];
    let watcher = subnet.start(1, vec![]).await;
    let other = subnet.start(2, offers).await;
    let mut instances = watcher.mesh.instances();
    eventually_in(&mut instances, "the other's instance", |known| {
        known.offered.len() == 1
    })
    .await;
    let attacked = watcher.mesh.node().datagram_address();
    let counters = watcher.mesh.counters();
    for times in 1..=2 {
        eventually_in(&mut instances, "the instance is offered", |known| {
            known.offered.len() == 1
        })
        .await;
        let refuted = || counters.refuted_leaves() >= times;
        while !refuted() {
            forge(&other.mesh.node(), attacked).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            let known = instances.borrow().clone();
            let all = known.offered.len() + known.last_choice.len();
            assert_eq!(all, 1, "it is gone: {known:?}");
        }
        eventually("it is refuted", refuted).await;
    }
    other.mesh.leave(Duration::from_secs(2)).await;
    eventually_in(
        &mut watcher.mesh.view(),
        "the node that left is not known",
        |view| view.nodes.len() == 1,
    )
    .await;
}
