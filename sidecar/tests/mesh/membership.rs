//! Membership and directory after arbitrary sequences of messages.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use sidecar::balance::service::{Instance, Offer, ServiceId};
use sidecar::mesh::directory::{Change, Directory};
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::membership::{Heard, Membership};
use sidecar::mesh::protocol::peer::{PeerEvent, Source, Transition};
use sidecar::mesh::protocol::{Action, Event, Protocol, Search};
use sidecar::mesh::wire::{
    Datagram, DatagramKind, MAX_NODES, Node, NodeState, Request, ServiceList, ServiceNode, membership_hash,
};
use sidecar::mesh::{DiscoverySettings, View};

const SECOND: Duration = Duration::from_secs(1);

fn node(name: u8, host: u8) -> Node {
    let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, host));
    Node::new(&format!("n{name}"), address, 31000, 31000).unwrap()
}

fn own() -> Node {
    node(0, 1)
}

#[derive(Debug, Clone)]
enum Step {
    Hear(u8, u8, bool),
    Answered(u8),
    Failed(u8),
    Forget(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let host = 1_u8..6;
    prop_oneof![
        (0_u8..3, host.clone(), any::<bool>()).prop_map(|(name, host, own)| Step::Hear(name, host, own)),
        host.clone().prop_map(Step::Answered),
        host.clone().prop_map(Step::Failed),
        host.prop_map(Step::Forget),
        (0_u64..40).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn an_endpoint_is_one_node_and_the_hash_is_that_of_the_healthy(steps in vec(step(), 0..80)) {
        let mut membership = Membership::new(own(), Arc::default());
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Hear(name, host, by_itself) => {
                    let other = node(name, host);
                    let source = if by_itself { Source::Direct } else { Source::Relayed };
                    let before = membership.get(other.endpoint()).map(|member| member.node.clone());
                    let heard = membership.hear(now, &other, source);
                    let after = membership.get(other.endpoint()).map(|member| member.node.clone());
                    if other.endpoint() == own().endpoint() {
                        prop_assert_eq!(&heard, &Heard::Ignored);
                    } else if by_itself {
                        prop_assert_eq!(after, Some(other));
                    } else if before.is_some() {
                        prop_assert_eq!(after, before);
                    }
                }
                Step::Answered(host) => { membership.apply(now, node(0, host).endpoint(), PeerEvent::Verified); }
                Step::Failed(host) => { membership.apply(now, node(0, host).endpoint(), PeerEvent::CheckFailed); }
                Step::Forget(host) => {
                    if let Some(gone) = membership.forget(now, node(0, host).endpoint()) {
                        prop_assert_eq!(membership.hear(now, &gone, Source::Relayed), Heard::Ignored);
                    }
                }
                Step::Wait(seconds) => now += SECOND * u32::try_from(seconds).unwrap(),
            }
            let endpoints: Vec<SocketAddr> = membership.peers().map(|member| member.node.endpoint()).collect();
            let distinct: BTreeSet<_> = endpoints.iter().collect();
            prop_assert_eq!(distinct.len(), endpoints.len());
            let up = membership.peers().filter(|member| member.is_up()).map(|member| &member.node);
            let me = own();
            let healthy: BTreeSet<&Node> = up.chain([&me]).collect();
            let hash = membership.hash();
            prop_assert_eq!(&*hash, membership_hash(healthy.iter().copied()));
            for member in membership.peers() {
                prop_assert_eq!(membership.expiry(member.node.endpoint()).is_none(), member.is_up());
            }
        }
    }

    #[test]
    fn the_changes_after_any_revision_lead_to_the_current_list(steps in vec(vec((0_u16..6, 0_u32..3), 0..5), 1..12)) {
        let mut directory = Directory::new(own());
        let mut known = vec![(directory.revision(), directory.local().khala_nodes)];
        for step in steps {
            let offers: Vec<Offer> = step.into_iter().map(|(port, weight)| offer(port + 1, weight)).collect();
            directory.offer(&offers);
            known.push((directory.revision(), directory.local().khala_nodes));
        }
        for (mut revision, mut list) in known {
            while let Some(change) = directory.change_after(revision) {
                list = match change {
                    Change::Add(change) => list.with(change.khala_node.clone()),
                    Change::Remove(change) => list.without(&change.khala_node),
                };
                revision += 1;
            }
            // No single change follows a revision that is too old, or the current one.
            prop_assert!(revision < directory.revision() || list == directory.local().khala_nodes);
        }
    }
}

fn offer(port: u16, weight: u32) -> Offer {
    let address = SocketAddr::new(own().address(), port);
    let id = ServiceId {
        service: "s".to_owned(),
        zone: "z".to_owned(),
    };
    Offer {
        id,
        instance: Instance {
            address,
            weight,
            at_node: true,
        },
    }
}

fn list(ports: &[u16]) -> ServiceList {
    ports
        .iter()
        .map(|port| ServiceNode::from(&offer(*port, 10)))
        .collect()
}

#[test]
fn relayed_news_neither_revives_a_node_that_left_nor_replaces_one_that_is_there() {
    let mut membership = Membership::new(own(), Arc::default());
    let (old, new) = (node(1, 2), node(2, 2));
    assert_eq!(membership.hear(SECOND, &old, Source::Relayed), Heard::Added);
    assert_eq!(membership.hear(SECOND, &new, Source::Relayed), Heard::Ignored);
    assert_eq!(
        membership.hear(SECOND, &new, Source::Direct),
        Heard::Replaced(old.clone())
    );
    membership.forget(SECOND, new.endpoint());
    assert_eq!(
        membership.hear(30 * SECOND, &new, Source::Relayed),
        Heard::Ignored
    );
    assert_eq!(membership.hear(30 * SECOND, &new, Source::Direct), Heard::Added);
    membership.forget(30 * SECOND, new.endpoint());
    assert_eq!(membership.hear(61 * SECOND, &new, Source::Relayed), Heard::Added);
}

#[test]
fn unverified_nodes_are_bounded_and_make_room_for_direct_ones() {
    let config = DiscoverySettings::default();
    let search = Search::new(own().datagram_address(), &config);
    let mut protocol = Protocol::new(own(), search, Config::default(), 1);
    let named = |n: u32| Node::new("x", Ipv4Addr::from_bits((10 << 24) + n + 1).into(), 1, 1).unwrap();
    for n in 1..10_000 {
        let request = Request::Nodes(vec![NodeState {
            node: named(n),
            healthy: true,
        }]);
        let (_, actions) = protocol.serve(Duration::from_millis(n.into()), named(1).address(), request);
        let asked = actions
            .iter()
            .filter(|action| matches!(action, Action::Exchange { .. }))
            .count();
        assert!(
            n <= 64 || asked == 0,
            "more than 64 unverified nodes are asked at once"
        );
    }
    assert_eq!(protocol.membership().peers().count(), MAX_NODES - 1);
    let speaker = named(20_000);
    let datagram = Datagram {
        kind: DatagramKind::Search,
        node_name: "x".into(),
        udp_port: 1,
        tcp_port: 1,
        hash: "".into(),
        cookie: None,
    };
    protocol.handle(
        20 * SECOND,
        Event::Datagram {
            from: speaker.address(),
            datagram,
        },
    );
    assert!(protocol.membership().get(speaker.endpoint()).is_some());
    assert!(protocol.membership().get(named(1).endpoint()).is_none());
    assert_eq!(protocol.membership().peers().count(), MAX_NODES - 1);
}

#[test]
fn the_view_as_json_has_the_keys_that_others_read() {
    let config = DiscoverySettings::default();
    let search = Search::new(own().datagram_address(), &config);
    let mut protocol = Protocol::new(own(), search, Config::default(), 1);
    protocol.handle(Duration::ZERO, Event::Offers(vec![offer(9, 15)]));
    let request = Request::Nodes(vec![NodeState {
        node: node(1, 2),
        healthy: true,
    }]);
    protocol.serve(Duration::ZERO, node(1, 2).address(), request);
    let view = serde_json::to_value(View::of(&protocol)).unwrap();
    let expected = json!({
        "node": {"nodeName": "n0", "address": "10.0.0.1", "udpPort": 31000, "tcpPort": 31000},
        "hash": membership_hash([&own()]),
        "nodes": [
            {"nodeName": "n0", "address": "10.0.0.1", "udpPort": 31000, "tcpPort": 31000, "health": "UP", "self": true},
            {"nodeName": "n1", "address": "10.0.0.2", "udpPort": 31000, "tcpPort": 31000, "health": "DOWN", "self": false},
        ],
        "services": [
            {"service": "s", "zone": "z", "instances": [
                {"nodeName": "n0", "address": "10.0.0.1", "port": 9, "weight": 15},
            ], "lastChoice": []},
        ],
    });
    assert_eq!(view, expected);
}

#[test]
fn a_node_is_down_after_failures_in_a_row_and_forgotten_when_its_time_is_over() {
    let config = Arc::new(Config::default());
    let mut membership = Membership::new(own(), config.clone());
    let node = node(1, 2);
    membership.hear(SECOND, &node, Source::Direct);
    let apply = |membership: &mut Membership, second: u32, event| {
        membership.apply(second * SECOND, node.endpoint(), event)
    };
    assert_eq!(
        membership.expiry(node.endpoint()),
        Some(SECOND + config.forget_unverified)
    );
    assert_eq!(apply(&mut membership, 1, PeerEvent::Verified), Transition::CameUp);
    assert_eq!(membership.expiry(node.endpoint()), None);
    assert_eq!(
        apply(&mut membership, 1, PeerEvent::CheckFailed),
        Transition::None
    );
    assert_eq!(
        apply(&mut membership, 1, PeerEvent::CheckFailed),
        Transition::None
    );
    let verified = apply(&mut membership, 1, PeerEvent::Verified);
    assert_eq!(verified, Transition::None, "it has been up throughout");
    assert_eq!(
        apply(&mut membership, 2, PeerEvent::CheckFailed),
        Transition::None
    );
    assert_eq!(
        apply(&mut membership, 2, PeerEvent::CheckFailed),
        Transition::None
    );
    assert_eq!(
        apply(&mut membership, 2, PeerEvent::CheckFailed),
        Transition::WentDown
    );
    assert!(membership.is_alone());
    assert_eq!(
        membership.expiry(node.endpoint()),
        Some(2 * SECOND + config.forget_down)
    );
}

#[test]
fn a_diff_names_what_differs_and_what_only_one_side_has() {
    let [a, b, c] = [node(1, 2), node(2, 3), node(3, 4)];
    let mut ours = Directory::new(own());
    ours.set(&a, list(&[1, 2]));
    ours.set(&b, list(&[3]));
    let mut theirs = Directory::new(own());
    theirs.set(&a, list(&[2, 1]));
    theirs.set(&c, list(&[]));
    assert_eq!(ours.diff(&theirs.everything().unwrap()), [b.clone(), c.clone()]);
    assert_ne!(ours.hash(), theirs.hash());
    theirs.drop_node(&c);
    theirs.set(&b, list(&[3]));
    assert_eq!(ours.diff(&theirs.everything().unwrap()), []);
    assert_eq!(ours.hash(), theirs.hash());
    theirs.set(&b, list(&[4]));
    assert_eq!(ours.diff(&theirs.everything().unwrap()), [b]);
}
