//! Tests of [`super`].

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::balance::service::{Instance, Offer, ServiceId};
use crate::mesh::protocol::{Action, Config, Event, Search};
use crate::mesh::settings::DiscoverySettings;
use crate::mesh::wire::ServiceNode;

const SECOND: Duration = Duration::from_secs(1);

fn node(host: u8) -> Node {
    Node::new(
        &format!("node-{host}"),
        IpAddr::from([10, 0, 0, host]),
        31000,
        31000,
    )
    .unwrap()
}

fn protocol() -> Protocol {
    let own = node(1);
    let search = Search::new(own.datagram_address(), &DiscoverySettings::default());
    Protocol::new(own, search, Config::default(), 7)
}

fn offer(host: u8, weight: u32) -> Offer {
    Offer {
        id: ServiceId {
            service: "service".to_owned(),
            zone: "zone".to_owned(),
        },
        instance: Instance {
            address: SocketAddr::new(IpAddr::from([10, 0, 0, host]), 80),
            weight,
            at_node: true,
        },
    }
}

fn list(host: u8, weight: u32) -> NodeServices {
    NodeServices {
        node: node(host),
        khala_nodes: [ServiceNode::from(&offer(host, weight))].into_iter().collect(),
    }
}

/// A node with its own service and these peers: those that gossip, those that do not, those that have not answered, and of the
/// first two those that are down.
fn populated(
    gossiping: &BTreeSet<u8>,
    silent: &BTreeSet<u8>,
    unverified: &BTreeSet<u8>,
    down: &BTreeSet<u8>,
) -> Protocol {
    let mut protocol = protocol();
    protocol.handle(Duration::ZERO, Event::Offers(vec![offer(1, 5)]));
    for host in gossiping {
        protocol.joined_by(SECOND, list(*host, 10));
    }
    for host in silent {
        let NodeServices { node, khala_nodes } = list(*host, 3);
        protocol.resume_silent(SECOND, &node, khala_nodes);
    }
    for host in unverified {
        protocol.hear(SECOND, &node(*host), Source::Relayed);
    }
    for host in down.intersection(&(gossiping | silent)) {
        while protocol.membership().is_up(&node(*host)) {
            protocol.check_failed(SECOND, node(*host).endpoint(), Failure::Timeout);
        }
    }
    protocol
}

/// What a process started with these bytes knows, and its first actions.
fn resumed(text: &str) -> (Protocol, Vec<Action>) {
    let mut next = protocol();
    next.resume(Duration::ZERO, serde_json::from_str(text).unwrap());
    let actions = next.handle(Duration::ZERO, Event::Offers(vec![offer(1, 5)]));
    (next, actions)
}

proptest! {
    #[test]
    fn the_next_process_knows_what_the_last_one_did(
        mut hosts in prop::collection::vec(2u8..=250, 0..40), first in 0usize..40, second in 0usize..40,
        down in prop::collection::btree_set(2u8..=250, 0..60),
    ) {
        hosts.sort_unstable();
        hosts.dedup();
        let first = first.min(hosts.len());
        let second = (first + second).min(hosts.len());
        let part = |range: std::ops::Range<usize>| hosts[range].iter().copied().collect::<BTreeSet<u8>>();
        let last = populated(&part(0..first), &part(first..second), &part(second..hosts.len()), &down);
        let (next, _) = resumed(&serde_json::to_string(&last.knowledge()).unwrap());

        prop_assert_eq!(next.knowledge(), last.knowledge());
        prop_assert_eq!(next.membership().digest(), last.membership().digest());
        prop_assert_eq!(next.membership().hash(), last.membership().hash());
        prop_assert_eq!(next.directory().digest(), last.directory().digest());
        prop_assert_eq!(next.instances(), last.instances());
        let is_down = |protocol: &Protocol| {
            let down = protocol.membership().peers().filter(|peer| peer.is_down());
            down.map(|peer| peer.node.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(is_down(&next), is_down(&last));
    }
}

#[test]
fn peers_need_no_announcement_after_a_restart() {
    let last = populated(
        &BTreeSet::from([2, 3]),
        &BTreeSet::from([4]),
        &BTreeSet::new(),
        &BTreeSet::new(),
    );
    let (next, actions) = resumed(&serde_json::to_string(&last.knowledge()).unwrap());
    assert!(next.is_acknowledged());
    let announces = |action: &Action| {
        matches!(
            action,
            Action::Exchange {
                request: Request::Add(_) | Request::Remove(_),
                ..
            }
        )
    };
    assert!(!actions.iter().any(announces), "{actions:?}");
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Gone { .. })),
        "{actions:?}"
    );
}

#[test]
fn what_is_no_knowledge_is_refused() {
    for text in [
        "{}",
        r#"{"nodes": 1, "gossiping": [], "lists": []}"#,
        r#"{"nodes": [], "gossiping": ["here"], "lists": []}"#,
        r#"{"nodes": [], "gossiping": [], "lists": {}}"#,
    ] {
        assert!(serde_json::from_str::<Knowledge>(text).is_err(), "{text}");
    }
}
