//! What is known of a host name: the addresses of the last answer for each family. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::interface::{IpType, Table};

/// The networks whose addresses count, and the addresses that do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Networks {
    near: Vec<IpNet>,
    own: BTreeSet<IpAddr>,
}

impl Networks {
    /// The networks that the interfaces are in, except loopback and link-local ones: a name server that does not know a
    /// name asks others, whose answers lead elsewhere. `given` takes their place.
    pub(super) fn new(table: &Table, given: Option<&[IpNet]>) -> Self {
        let interfaces = table.interfaces.iter().filter(|it| it.up);
        let (mut near, mut own) = (Vec::new(), BTreeSet::new());
        for interface in interfaces {
            for address in &interface.addresses {
                own.insert(address.ip());
                let net = address.net.trunc();
                if !interface.loopback && !is_link_local(address.ip()) && !near.contains(&net) {
                    near.push(net);
                }
            }
        }
        if let Some(given) = given {
            near = given.to_vec();
        }
        Self { near, own }
    }

    /// Whether an address counts.
    pub(super) fn admit(&self, ip: IpAddr) -> bool {
        self.near.iter().any(|net| net.contains(&ip)) && !self.own.contains(&ip)
    }

    /// Whether addresses of a family can count.
    pub(super) fn has(&self, family: IpType) -> bool {
        self.near.iter().any(|net| IpType::of(net.addr()) == family)
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The addresses of a host name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Resolution {
    addresses: BTreeSet<IpAddr>,
    /// Those of them that the last round of questions confirmed.
    confirmed: BTreeSet<IpAddr>,
}

/// The outcome of a question: the addresses, or `None` if there was no answer.
pub(super) type Outcome = Option<BTreeSet<IpAddr>>;

impl Resolution {
    /// The addresses, as known: the given ones, unconfirmed.
    pub(super) fn remembered(addresses: BTreeSet<IpAddr>) -> Self {
        Self {
            addresses,
            confirmed: BTreeSet::new(),
        }
    }

    /// The resolution after a round of questions: an answer replaces the addresses of its family, no answer leaves
    /// them, and of both only those count that the networks admit.
    pub(super) fn after(&self, v4: Outcome, v6: Outcome, networks: &Networks) -> Self {
        let (mut addresses, mut confirmed) = (BTreeSet::new(), BTreeSet::new());
        for (family, outcome) in [(IpType::V4, v4), (IpType::V6, v6)] {
            let of_family = |ip: &IpAddr| IpType::of(*ip) == family && networks.admit(*ip);
            match outcome {
                Some(answer) => {
                    confirmed.extend(answer.iter().copied().filter(of_family));
                    addresses.extend(answer.into_iter().filter(of_family));
                }
                None => addresses.extend(self.addresses.iter().copied().filter(of_family)),
            }
        }
        Self { addresses, confirmed }
    }

    /// The addresses that count.
    pub(super) fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.addresses
    }

    /// Whether the last round of questions confirmed an address.
    pub(super) fn confirms(&self, ip: IpAddr) -> bool {
        self.confirmed.contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::interface::table::{Address, AddressFlags, Interface};

    fn table() -> Table {
        let interface = |name: &str, loopback, nets: &[&str]| Interface {
            name: name.to_owned(),
            loopback,
            up: name != "down0",
            addresses: nets
                .iter()
                .map(|net| Address {
                    net: net.parse().unwrap(),
                    scope: 0,
                    flags: AddressFlags::NONE,
                })
                .collect(),
        };
        Table::new(vec![
            interface("lo", true, &["127.0.0.1/8", "::1/128"]),
            interface("eth0", false, &["172.18.0.3/16", "fd00:1::3/64", "fe80::3/64"]),
            interface("down0", false, &["10.9.0.1/24"]),
        ])
    }

    fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn only_other_addresses_in_own_networks_count() {
        let networks = Networks::new(&table(), None);
        for (ip, expected) in [
            ("172.18.0.4", true),
            ("172.18.0.3", false),
            ("172.19.0.4", false),
            ("10.9.0.2", false),
            ("127.0.0.2", false),
            ("127.0.0.1", false),
            ("fd00:1::4", true),
            ("fd00:1::3", false),
            ("fd00:2::4", false),
            ("fe80::4", false),
            ("::1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(networks.admit(ip.parse().unwrap()), expected, "{ip}");
        }
        assert!(networks.has(IpType::V4) && networks.has(IpType::V6));
        let given = ["127.0.0.0/8".parse().unwrap()];
        let networks = Networks::new(&table(), Some(&given));
        assert!(networks.admit(Ipv4Addr::new(127, 0, 0, 2).into()));
        assert!(!networks.admit(Ipv4Addr::LOCALHOST.into()), "its own");
        assert!(!networks.admit("172.18.0.4".parse().unwrap()));
        assert!(!networks.has(IpType::V6));
    }

    #[test]
    fn an_answer_replaces_its_family_and_no_answer_keeps_it() {
        let networks = Networks::new(&table(), None);
        let first = Resolution::default().after(
            Some(set(&["172.18.0.4", "172.18.0.5", "192.0.2.1"])),
            Some(set(&["fd00:1::4"])),
            &networks,
        );
        assert_eq!(
            first.addresses(),
            &set(&["172.18.0.4", "172.18.0.5", "fd00:1::4"])
        );
        let second = first.after(None, Some(BTreeSet::new()), &networks);
        assert_eq!(second.addresses(), &set(&["172.18.0.4", "172.18.0.5"]));
        assert!(first.confirms("172.18.0.4".parse().unwrap()));
        assert!(
            !second.confirms("172.18.0.4".parse().unwrap()),
            "kept, not confirmed"
        );
        assert_eq!(
            second.after(Some(set(&[])), None, &networks),
            Resolution::default()
        );
    }

    fn addresses() -> impl Strategy<Value = BTreeSet<IpAddr>> {
        let v4 = (16_u8..20, 0_u8..8).prop_map(|(net, host)| IpAddr::from([172, net, 0, host]));
        prop::collection::btree_set(v4, 0..8)
    }

    proptest! {
        /// The known addresses are always those of the last answer that the networks admit.
        #[test]
        fn the_last_answer_decides(rounds in prop::collection::vec(prop::option::of(addresses()), 0..20)) {
            let networks = Networks::new(&table(), None);
            let mut resolution = Resolution::default();
            let mut last = BTreeSet::new();
            for outcome in rounds {
                resolution = resolution.after(outcome.clone(), None, &networks);
                let answered = outcome.is_some();
                last = outcome.unwrap_or(last);
                let expected: BTreeSet<IpAddr> = last.iter().copied().filter(|ip| networks.admit(*ip)).collect();
                prop_assert_eq!(resolution.addresses(), &expected);
                prop_assert!(expected.iter().all(|ip| resolution.confirms(*ip) == answered));
            }
        }
    }
}
