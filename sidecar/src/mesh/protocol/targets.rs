//! The targets of the search network, numbered from the nearest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::config::Config;
use crate::mesh::settings::DiscoverySettings;

/// The targets (address and port) of the search network, which the `discovery.search.` settings span, nearest first.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    own: SocketAddr,
    first: u128,
    addresses: u64,
    /// Number of addresses before our own.
    before: u64,
    min_port: u16,
    ports: u64,
}

impl Search {
    /// The search network of a node that listens for datagrams at `own`.
    pub fn new(own: SocketAddr, settings: &DiscoverySettings) -> Self {
        let (bits, address) = match own.ip() {
            IpAddr::V4(ip) => (32, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (128, ip.to_bits()),
        };
        let host_bits = u32::from(bits - settings.search_mask.min(bits)).min(20);
        let size = 1_u64 << host_bits;
        // The first and the last address are searched as well: they are hosts if the mask is not the network's own.
        // The kernel does not send a datagram to a broadcast address.
        let first = address & !(u128::from(size) - 1);
        // Less than `size`.
        let before = (address - first) as u64;
        let ports = settings
            .search_max_udp_port
            .saturating_sub(settings.search_min_udp_port);
        Self {
            own,
            first,
            addresses: size,
            before,
            min_port: settings.search_min_udp_port,
            ports: u64::from(ports) + 1,
        }
    }

    /// The address of this rank by distance: our own, then alternately one above and one below, then the rest of the
    /// longer side.
    pub(super) fn address(&self, rank: u64) -> IpAddr {
        let after = self.addresses - 1 - self.before;
        let both = self.before.min(after);
        let (distance, above) = if rank <= 2 * both {
            (rank.div_ceil(2), rank % 2 == 1)
        } else {
            (rank - both, after > both)
        };
        let index = if above {
            self.before + distance
        } else {
            self.before - distance
        };
        self.at(index)
    }

    /// The address of this place in the network.
    fn at(&self, index: u64) -> IpAddr {
        let address = self.first + u128::from(index);
        match self.own {
            SocketAddr::V4(_) => Ipv4Addr::from_bits(address as u32).into(),
            SocketAddr::V6(_) => Ipv6Addr::from_bits(address).into(),
        }
    }

    /// Number of addresses.
    pub fn addresses(&self) -> u64 {
        self.addresses
    }

    /// Duration of a lone node's sweep of the addresses that are not near, with [`Config::search_far_pause`] after each
    /// visit. Two nodes that start in this network at the same time meet within it, unless their datagrams are lost.
    #[must_use]
    pub fn sweep_time(&self, config: &Config) -> Duration {
        let near = if self.own().is_loopback() {
            config.search_near.max(config.search_near_loopback)
        } else {
            config.search_near
        };
        let near = u64::try_from(near).unwrap_or(u64::MAX).saturating_add(1);
        let targets = self.addresses.saturating_sub(near) * self.ports;
        let visits = targets.div_ceil(self.ports_at_once(config.search_burst).max(1) as u64);
        let visits = u32::try_from(visits).unwrap_or(u32::MAX);
        let last = visits.saturating_sub(1);
        let group = config.search_far_group.max(1);
        let (groups, visits) = (last / group, last % group);
        let groups = config.search_far_interval.saturating_mul(groups);
        groups.saturating_add(config.search_burst_pause.saturating_mul(visits))
    }

    /// The address of the node itself.
    pub(super) fn own(&self) -> IpAddr {
        self.own.ip()
    }

    /// Number of targets at each address.
    pub(super) fn ports(&self) -> u64 {
        self.ports
    }

    /// Targets per visit: those of one address, at most `most`.
    pub(super) fn ports_at_once(&self, most: usize) -> usize {
        usize::try_from(self.ports).unwrap_or(usize::MAX).min(most)
    }

    /// The targets at this many addresses at the beginning of the network, without our own endpoint.
    pub(super) fn first(&self, addresses: u64) -> impl Iterator<Item = SocketAddr> {
        let search = *self;
        let targets = (0..addresses.min(self.addresses) * self.ports).map(move |number| {
            let port = search.min_port + (number % search.ports) as u16;
            SocketAddr::new(search.at(number / search.ports), port)
        });
        targets.filter(move |target| *target != search.own)
    }

    /// The target of this number: all ports of one address, then those of the next. None for our own endpoint.
    pub(super) fn target(&self, number: u64) -> Option<SocketAddr> {
        let port = self.min_port + (number % self.ports) as u16;
        let target = SocketAddr::new(self.address(number / self.ports), port);
        (target != self.own).then_some(target)
    }
}
