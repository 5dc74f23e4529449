//! Which places a search round visits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::mesh::config::Config;

/// The places of the search network (discovery protocol: settings), visited round by round.
#[derive(Debug, Clone)]
pub struct Search {
    own: SocketAddr,
    /// The first address.
    first: u128,
    addresses: u64,
    min_port: u16,
    ports: u64,
    /// Where a round starts: near ourselves, because neighbours are.
    start: u64,
    visited: u64,
}

impl Search {
    /// The search of a node that listens for datagrams at `own`.
    pub fn new(own: SocketAddr, config: &Config) -> Self {
        let (bits, address) = match own.ip() {
            IpAddr::V4(ip) => (32, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (128, ip.to_bits()),
        };
        let host_bits = u32::from(bits - config.search_mask.min(bits)).min(20);
        let size = 1_u128 << host_bits;
        let network = address & !(size - 1);
        // The network's own and its broadcast address are no hosts (IPv4).
        let (first, count) = if own.is_ipv4() && host_bits >= 2 {
            (network + 1, size - 2)
        } else {
            (network, size)
        };
        let near = (address - first.min(address)) & !0xff;
        let ports = u64::from(
            config
                .search_max_udp_port
                .saturating_sub(config.search_min_udp_port),
        ) + 1;
        Self {
            own,
            first,
            addresses: u64::try_from(count).unwrap_or(u64::MAX),
            min_port: config.search_min_udp_port,
            ports,
            start: u64::try_from(near).unwrap_or_default() * ports,
            visited: 0,
        }
    }

    /// How many places of this round have been visited.
    pub(super) fn visited(&self) -> u64 {
        self.visited
    }

    /// Starts a new round.
    pub(super) fn restart(&mut self) {
        self.visited = 0;
    }
}

/// The places of the current round; none once it is over.
impl Iterator for Search {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        let places = self.addresses * self.ports;
        while self.visited < places {
            let place = (self.start + self.visited) % places;
            self.visited += 1;
            let address = self.first + u128::from(place / self.ports);
            // Both fit: the network has at most 2^20 addresses, the range ends at a port.
            let ip: IpAddr = match self.own {
                SocketAddr::V4(_) => Ipv4Addr::from_bits(address as u32).into(),
                SocketAddr::V6(_) => Ipv6Addr::from_bits(address).into(),
            };
            let at = SocketAddr::new(ip, self.min_port + (place % self.ports) as u16);
            if at != self.own {
                return Some(at);
            }
        }
        None
    }
}
