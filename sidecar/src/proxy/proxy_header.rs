//! The header by which an endpoint learns its client's address: the PROXY protocol, version 2 (section 2.2 of haproxy's
//! `proxy-protocol.txt`). Pure.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, and a connection on behalf of another.
const PROXIED: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header of a connection from a client to the listener's local address.
pub(super) fn header(client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let mut addresses = Vec::with_capacity(36);
    let family = match (client.ip(), local.ip()) {
        (IpAddr::V4(client), IpAddr::V4(local)) => {
            addresses.extend([client.octets(), local.octets()].concat());
            TCP_OVER_IPV4
        }
        (client, local) => {
            addresses.extend([v6(client).octets(), v6(local).octets()].concat());
            TCP_OVER_IPV6
        }
    };
    addresses.extend(client.port().to_be_bytes());
    addresses.extend(local.port().to_be_bytes());
    let length = u8::try_from(addresses.len()).unwrap_or(0);
    [&SIGNATURE[..], &[PROXIED, family, 0, length], &addresses].concat()
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(client: &str, local: &str) -> Vec<u8> {
        let address = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text}"));
        header(address(client), address(local))
    }

    #[test]
    fn a_header_has_both_addresses() {
        let v4 = of("192.0.2.1:258", "198.51.100.2:443");
        let expected =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x01\x02\x01\xbb";
        assert_eq!(v4, expected);
        let v6 = of("[2001:db8::1]:1", "[2001:db8::2]:2");
        assert_eq!(v6.len(), 52);
        assert_eq!(v6[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(v6[16..18], [0x20, 0x01]);
        assert_eq!(v6[48..], [0, 1, 0, 2]);
        let mixed = of("192.0.2.1:1", "[2001:db8::2]:2");
        assert_eq!(mixed[26..32], [0xff, 0xff, 192, 0, 2, 1]);
    }
}
