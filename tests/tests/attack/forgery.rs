//! Datagrams in the name of another host: IP packets with its source address.

use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{SockAddr, Socket};

use crate::namespace::Host;
use crate::wire;

/// Sends datagrams with any source.
pub(crate) struct Forger(Socket);

impl Forger {
    pub(crate) fn at(host: &Host) -> Self {
        Self(host.raw())
    }

    /// Sends a datagram of discovery from one node's address to another's.
    pub(crate) fn send(&self, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) {
        let packet = packet(from, to, payload);
        let to = SockAddr::from(SocketAddrV4::new(to, 0));
        // A full queue drops it, as a network would.
        let _ = self.0.send_to(&packet, &to);
    }
}

/// A packet; the kernel fills in its length, its identification and the header's checksum. A checksum of 0 in UDP is none.
fn packet(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    const SOURCE_PORT: u16 = 56565;
    const UDP: u8 = 17;
    const TTL: u8 = 64;
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, TTL, UDP, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    for field in [SOURCE_PORT, wire::PORT, length, 0] {
        packet.extend(field.to_be_bytes());
    }
    packet.extend(payload);
    packet
}
