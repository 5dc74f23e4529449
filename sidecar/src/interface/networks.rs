//! Which addresses are this machine's own, and which are on its links. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Table;

/// Longest prefix of an IPv4 network with a broadcast address (RFC 3021, section 2).
const LONGEST_WITH_BROADCAST: u8 = 30;

/// The addresses and networks of the machine's interfaces, those that are down included. IPv4 addresses count also when
/// they are written as IPv6 (`::ffff:a.b.c.d`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    own: BTreeSet<IpAddr>,
    /// The networks of loopback interfaces: the machine answers for each address in them.
    loopback: Vec<IpNet>,
    /// The networks of all others.
    links: Vec<IpNet>,
}

impl Networks {
    /// Those of this table.
    #[must_use]
    pub fn of(table: &Table) -> Self {
        let mut networks = Self::default();
        for interface in &table.interfaces {
            let nets = interface.addresses.iter().map(|address| address.net);
            networks.own.extend(nets.clone().map(|net| net.addr()));
            let of_kind = if interface.loopback {
                &mut networks.loopback
            } else {
                &mut networks.links
            };
            of_kind.extend(nets.map(|net| net.trunc()));
        }
        networks
    }

    /// Whether an interface has this address.
    #[must_use]
    pub fn is_own(&self, ip: IpAddr) -> bool {
        self.own.contains(&ip.to_canonical())
    }

    /// Whether this machine answers for this address: an interface has it, or it is in the network of a loopback interface.
    #[must_use]
    pub fn is_local(&self, ip: IpAddr) -> bool {
        self.is_own(ip) || contain(&self.loopback, ip)
    }

    /// Whether it is in the network of an interface other than loopback.
    #[must_use]
    pub fn is_on_link(&self, ip: IpAddr) -> bool {
        contain(&self.links, ip)
    }

    /// Whether it reaches all hosts of a link: 255.255.255.255, or the first or last address of an IPv4 network (RFC 1122,
    /// section 3.2.1.3).
    #[must_use]
    pub fn is_broadcast(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(ip) = ip.to_canonical() else {
            return false;
        };
        let of_link = |link: &IpNet| match link {
            IpNet::V4(net) => {
                net.prefix_len() <= LONGEST_WITH_BROADCAST && (net.network() == ip || net.broadcast() == ip)
            }
            IpNet::V6(_) => false,
        };
        ip.is_broadcast() || self.links.iter().any(of_link)
    }
}

fn contain(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use super::super::table::{Address, AddressFlags, Interface};
    use super::*;

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        let address = |text: &&str| Address {
            net: text.parse().unwrap(),
            scope: 0,
            flags: AddressFlags::NONE,
        };
        Interface {
            name: name.to_owned(),
            loopback: name == "lo",
            up: name != "down0",
            addresses: addresses.iter().map(address).collect(),
        }
    }

    #[test]
    fn addresses_are_own_local_on_link_or_broadcast() {
        let networks = Networks::of(&Table::new(vec![
            interface("lo", &["127.0.0.1/8", "::1/128", "10.9.9.9/24"]),
            interface(
                "eth0",
                &[
                    "172.18.0.3/16",
                    "2001:db8::3/64",
                    "192.0.2.1/31",
                    "198.51.100.1/32",
                ],
            ),
            interface("down0", &["10.1.0.4/24"]),
        ]));
        for (ip, own, local, on_link, broadcast) in [
            ("127.0.0.1", true, true, false, false),
            ("127.9.9.9", false, true, false, false),
            ("::1", true, true, false, false),
            // The kernel takes each address of a loopback interface's network for its own.
            ("10.9.9.77", false, true, false, false),
            ("172.18.0.3", true, true, true, false),
            ("::ffff:172.18.0.3", true, true, true, false),
            ("172.18.200.1", false, false, true, false),
            ("::ffff:172.18.200.1", false, false, true, false),
            ("172.19.0.1", false, false, false, false),
            ("172.18.0.0", false, false, true, true),
            ("172.18.255.255", false, false, true, true),
            ("::ffff:172.18.255.255", false, false, true, true),
            ("255.255.255.255", false, false, false, true),
            ("192.0.2.0", false, false, true, false),
            ("198.51.100.1", true, true, true, false),
            ("198.51.100.2", false, false, false, false),
            ("2001:db8::4", false, false, true, false),
            ("2001:db8:0:1::4", false, false, false, false),
            ("10.1.0.4", true, true, true, false),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            let found = (
                networks.is_own(ip),
                networks.is_local(ip),
                networks.is_on_link(ip),
                networks.is_broadcast(ip),
            );
            assert_eq!(found, (own, local, on_link, broadcast), "{ip}");
        }
    }
}
