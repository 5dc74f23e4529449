//! Which instances count: a table of cases, and what holds for all addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::common::lone::{self, Lone};
use ipnet::IpNet;
use proptest::prelude::*;
use sidecar::balance::service::{Instance, Offer, ServiceId};
use sidecar::interface::Networks;
use sidecar::interface::Table;
use sidecar::interface::table::{Address, AddressFlags, Interface};
use sidecar::mesh::directory::Directory;
use sidecar::mesh::directory::acceptance::{Acceptance, Exclusion, Place};
use sidecar::mesh::protocol::{Action, Event};
use sidecar::mesh::wire::{Node, ServiceList, ServiceNode};

fn node(address: &str) -> Node {
    Node::new("n", address.parse().unwrap(), 31000, 31000).unwrap()
}

fn nets(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|net| net.parse().unwrap()).collect()
}

fn interface(name: &str, addresses: &[&str]) -> Interface {
    let address = |net| Address {
        net,
        scope: 0,
        flags: AddressFlags::NONE,
    };
    Interface {
        name: name.to_owned(),
        loopback: name == "lo",
        up: true,
        addresses: nets(addresses).into_iter().map(address).collect(),
    }
}

/// A container in 172.18.0.0/16 with two links, and peers at .2 and .4 of the first.
fn machine() -> Networks {
    Networks::of(&Table::new(vec![
        interface("lo", &["127.0.0.1/8", "::1/128"]),
        interface("eth0", &["172.18.0.3/16", "2001:db8::3/64", "fe80::3/64"]),
        interface("eth1", &["10.7.0.3/24", "169.254.9.9/16"]),
    ]))
}

/// Where an instance at this address is, offered by this node, for the node at 172.18.0.3.
fn place(offered_by: &str, address: IpAddr) -> Result<Place, Exclusion> {
    let (own, machine, permitted) = (
        node("172.18.0.3"),
        machine(),
        nets(&["192.0.2.0/24", "2001:db8:1::/64"]),
    );
    let acceptance = Acceptance {
        own: &own,
        machine: &machine,
        permitted: &permitted,
        nodes: ["172.18.0.2", "172.18.0.4", "192.0.2.4"]
            .map(|ip| ip.parse().unwrap())
            .into(),
    };
    acceptance.place(&node(offered_by), address)
}

#[test]
fn a_node_s_own_address_counts_and_others_only_where_it_may_point() {
    use Place::{AtNode, Elsewhere, Ours};
    let peer = "172.18.0.2";
    for (offered_by, address, expected) in [
        // At the node's own address, whatever that is.
        (peer, "172.18.0.2", Ok(AtNode)),
        (peer, "::ffff:172.18.0.2", Ok(AtNode)),
        ("::ffff:172.18.0.2", "172.18.0.2", Ok(AtNode)),
        ("127.0.0.9", "127.0.0.9", Ok(AtNode)),
        ("169.254.1.2", "169.254.1.2", Ok(AtNode)),
        ("203.0.113.9", "203.0.113.9", Ok(AtNode)),
        ("2001:db8:ff::9", "2001:db8:ff::9", Ok(AtNode)),
        // Several sidecars share our address; this one has another port.
        ("172.18.0.3", "172.18.0.3", Ok(AtNode)),
        // On our links, and in the networks that are configured.
        (peer, "172.18.0.77", Ok(Elsewhere)),
        (peer, "::ffff:172.18.0.77", Ok(Elsewhere)),
        (peer, "10.7.0.77", Ok(Elsewhere)),
        (peer, "2001:db8::77", Ok(Elsewhere)),
        (peer, "192.0.2.77", Ok(Elsewhere)),
        (peer, "::ffff:192.0.2.77", Ok(Elsewhere)),
        (peer, "2001:db8:1::77", Ok(Elsewhere)),
        // Anywhere else.
        (peer, "203.0.113.9", Err(Exclusion::Elsewhere)),
        (peer, "10.7.1.1", Err(Exclusion::Elsewhere)),
        (peer, "2001:db8:2::1", Err(Exclusion::Elsewhere)),
        (peer, "::127.0.0.1", Err(Exclusion::Elsewhere)),
        (peer, "64:ff9b::7f00:1", Err(Exclusion::Elsewhere)),
        (peer, "240.0.0.1", Err(Exclusion::Elsewhere)),
        // What no stranger may make us connect to.
        (peer, "127.0.0.1", Err(Exclusion::Loopback)),
        (peer, "127.255.0.9", Err(Exclusion::Loopback)),
        (peer, "::1", Err(Exclusion::Loopback)),
        (peer, "::ffff:127.0.0.1", Err(Exclusion::Loopback)),
        ("127.0.0.9", "127.0.0.1", Err(Exclusion::Loopback)),
        (peer, "0.0.0.0", Err(Exclusion::Unspecified)),
        (peer, "0.0.0.7", Err(Exclusion::Unspecified)),
        (peer, "::", Err(Exclusion::Unspecified)),
        (peer, "::ffff:0.0.0.0", Err(Exclusion::Unspecified)),
        (peer, "169.254.169.254", Err(Exclusion::LinkLocal)),
        (peer, "::ffff:169.254.169.254", Err(Exclusion::LinkLocal)),
        (peer, "fe80::1", Err(Exclusion::LinkLocal)),
        (peer, "224.0.0.1", Err(Exclusion::Multicast)),
        (peer, "ff02::1", Err(Exclusion::Multicast)),
        (peer, "255.255.255.255", Err(Exclusion::Broadcast)),
        (peer, "172.18.255.255", Err(Exclusion::Broadcast)),
        (peer, "10.7.0.0", Err(Exclusion::Broadcast)),
        (peer, "172.18.0.3", Err(Exclusion::Own)),
        (peer, "10.7.0.3", Err(Exclusion::Own)),
        (peer, "::ffff:10.7.0.3", Err(Exclusion::Own)),
        (peer, "2001:db8::3", Err(Exclusion::Own)),
        (peer, "172.18.0.4", Err(Exclusion::OtherNode)),
        (peer, "::ffff:172.18.0.4", Err(Exclusion::OtherNode)),
        (peer, "192.0.2.4", Err(Exclusion::OtherNode)),
    ] {
        let found = place(offered_by, address.parse().unwrap());
        assert_eq!(found, expected, "{address}, offered by {offered_by}");
    }
    let own = node("172.18.0.3");
    let (machine, nodes) = (machine(), [[172, 18, 0, 4].into()].into());
    let acceptance = Acceptance {
        own: &own,
        machine: &machine,
        permitted: &[],
        nodes,
    };
    for address in ["127.0.0.1", "10.7.0.3", "172.18.0.4", "203.0.113.9"] {
        let found = acceptance.place(&own, address.parse().unwrap());
        assert_eq!(found, Ok(Ours), "{address}, which we offer ourselves");
    }
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    let near = (
        prop_oneof![Just([172, 18]), Just([10, 7]), Just([192, 0]), Just([127, 0])],
        any::<[u8; 2]>(),
    );
    prop_oneof![
        any::<u32>().prop_map(Ipv4Addr::from_bits),
        near.prop_map(|([a, b], [c, d])| Ipv4Addr::new(a, b, c, d)),
    ]
}

#[test]
fn of_several_claims_about_one_address_its_node_s_counts_then_ours_then_the_highest_weight() {
    let (own, at, others) = (
        node("172.18.0.3"),
        node("172.18.0.2"),
        [node("172.18.0.8"), node("172.18.0.9")],
    );
    let list = |address: &str, weight: u32| {
        let id = ServiceId {
            service: "s".to_owned(),
            zone: "z".to_owned(),
        };
        let offer = Offer {
            id,
            instance: Instance {
                address: SocketAddr::new(address.parse().unwrap(), 80),
                weight,
                at_node: true,
            },
        };
        [ServiceNode::from(&offer)].into_iter().collect::<ServiceList>()
    };
    let machine = machine();
    // Before its node has proved to be there, so that nothing but the order of claims decides.
    let acceptance = Acceptance {
        own: &own,
        machine: &machine,
        permitted: &[],
        nodes: BTreeSet::new(),
    };
    let address = "172.18.0.2";
    let mapped = "::ffff:172.18.0.2";
    for (claims, expected) in [
        (
            vec![(&others[0], address, 0), (&others[1], mapped, 5)],
            (5, false),
        ),
        (
            vec![(&others[0], address, 9), (&others[1], address, 5)],
            (9, false),
        ),
        (
            vec![
                (&others[0], address, 9),
                (&own, address, 5),
                (&others[1], address, 0),
            ],
            (5, true),
        ),
        (
            vec![
                (&others[0], address, 0),
                (&at, mapped, 10),
                (&others[1], address, 99),
            ],
            (10, true),
        ),
        (
            vec![(&own, address, 0), (&at, address, 10), (&others[0], mapped, 0)],
            (10, true),
        ),
    ] {
        let mut directory = Directory::new(own.clone());
        for (offered_by, address, weight) in claims {
            directory.set(offered_by, list(address, weight));
        }
        let instances = directory.instances(&acceptance);
        let offered: Vec<_> = instances.offered.values().flatten().collect();
        let found: Vec<_> = offered
            .iter()
            .map(|instance| (instance.weight, instance.at_node))
            .collect();
        assert_eq!(found, [expected], "{offered:?}");
        assert_eq!(offered[0].address, SocketAddr::new(address.parse().unwrap(), 80));
    }
}

#[test]
fn what_the_machine_s_interfaces_change_takes_effect_at_once() {
    let (mut lone, other) = (Lone::new(), lone::node("other", 2));
    lone.bring_up(&other, &[80]);
    let count = |lone: &Lone| lone.protocol.instances().offered.values().flatten().count();
    assert_eq!(count(&lone), 1, "it is in a configured network");
    let with = |addresses: &[&str]| Networks::of(&Table::new(vec![interface("eth0", addresses)]));
    for (networks, expected) in [
        (with(&["10.0.0.1/24", "192.0.2.1/24"]), 0),
        (with(&["10.0.0.1/24"]), 1),
    ] {
        let actions = lone.protocol.handle(lone.now, Event::Networks(networks));
        assert_eq!(actions, [Action::Publish]);
        assert_eq!(count(&lone), expected);
    }
}

proptest! {
    #[test]
    fn no_spelling_of_an_ipv4_address_counts_otherwise(offered_by in v4(), address in v4()) {
        let mapped = |ip: Ipv4Addr| ip.to_ipv6_mapped();
        let plain = place(&offered_by.to_string(), address.into());
        prop_assert_eq!(place(&offered_by.to_string(), mapped(address).into()), plain);
        prop_assert_eq!(place(&mapped(offered_by).to_string(), address.into()), plain);
    }

    #[test]
    fn an_address_elsewhere_is_a_host_s_on_a_link_or_in_a_configured_network(address in v4()) {
        if place("172.18.0.2", address.into()) == Ok(Place::Elsewhere) {
            let on_link = [(172, 18), (10, 7)].contains(&(address.octets()[0], address.octets()[1]));
            prop_assert!(on_link || address.octets()[..3] == [192, 0, 2], "{address}");
            prop_assert!(!address.is_loopback() && !address.is_link_local() && !machine().is_own(address.into()));
        }
    }

    #[test]
    fn an_instance_at_its_node_s_address_counts(address in any::<u128>().prop_map(Ipv6Addr::from_bits)) {
        prop_assert_eq!(place(&address.to_string(), address.into()), Ok(Place::AtNode));
    }
}
