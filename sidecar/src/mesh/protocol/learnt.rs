//! Which addresses a node is asked at on another's word. Pure.

use std::net::IpAddr;

use crate::interface::Networks;

/// Why a node that others name is not asked at this address, from `own`.
///
/// Any network may hold nodes. But a node in a place that only this machine or its link knows has no reason to be named by
/// others, and one at an address of this machine writes to us itself.
pub(super) fn unfit_to_name(address: IpAddr, own: IpAddr, networks: &Networks) -> Option<&'static str> {
    if address == own || networks.is_own(address) {
        return Some("an address of this machine");
    }
    unfit_to_ask(address, own, networks)
}

/// As [`unfit_to_name`], for a node that seems to have sent a datagram itself.
pub(super) fn unfit_to_ask(address: IpAddr, own: IpAddr, networks: &Networks) -> Option<&'static str> {
    if address.is_ipv4() != own.is_ipv4() {
        Some("not of the family of this node's address")
    } else if is_unspecified(address) {
        Some("an unspecified address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if networks.is_broadcast(address) {
        Some("a broadcast address")
    } else if address.is_loopback() && !own.is_loopback() {
        Some("a loopback address")
    } else if is_link_local(address) && !is_link_local(own) {
        Some("a link-local address")
    } else {
        None
    }
}

/// `::`, and 0.0.0.0/8, which means this network (RFC 1122, section 3.2.1.3).
fn is_unspecified(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unspecified(),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nodes_of_any_network_are_asked_unless_others_cannot_know_them() {
        let networks = Networks::default();
        for (own, address, fits) in [
            ("10.0.0.1", "10.0.0.2", true),
            ("10.0.0.1", "192.0.2.7", true),
            ("10.0.0.1", "10.0.0.1", false),
            ("10.0.0.1", "0.0.0.0", false),
            ("10.0.0.1", "0.1.2.3", false),
            ("10.0.0.1", "127.0.0.1", false),
            ("10.0.0.1", "127.9.9.9", false),
            ("10.0.0.1", "169.254.169.254", false),
            ("10.0.0.1", "224.0.0.1", false),
            ("10.0.0.1", "255.255.255.255", false),
            ("10.0.0.1", "::1", false),
            ("10.0.0.1", "2001:db8::2", false),
            ("127.0.0.2", "127.0.0.3", true),
            ("127.0.0.2", "169.254.169.254", false),
            ("169.254.1.1", "169.254.1.2", true),
            ("2001:db8::1", "2001:db8:7::2", true),
            ("2001:db8::1", "::1", false),
            ("2001:db8::1", "::", false),
            ("2001:db8::1", "fe80::1", false),
            ("2001:db8::1", "ff02::1", false),
            ("fe80::1", "fe80::2", true),
        ] {
            let why = unfit_to_name(ip(address), ip(own), &networks);
            assert_eq!(why.is_none(), fits, "{address} for {own}: {why:?}");
        }
        assert_eq!(unfit_to_ask(ip("10.0.0.1"), ip("10.0.0.1"), &networks), None);
    }
}
