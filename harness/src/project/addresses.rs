//! Addresses of waypoints on networks where services have static ones. The engine gives a container without an address
//! the lowest free one, and a waypoint that starts first would take an address that the file reserves. So waypoints get
//! static addresses too, from the end of the subnet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::model::Config;
use super::plan::Facts;

/// Addresses of a subnet that are tried, from its end.
const TRIED: u128 = 65_536;

/// Assigned addresses: of a waypoint on a network.
pub type Assigned = BTreeMap<String, BTreeMap<String, Vec<IpAddr>>>;

/// A network with static addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    /// Its subnets.
    pub(super) subnets: Vec<IpNet>,
    /// Addresses that are not free.
    pub(super) taken: BTreeSet<IpAddr>,
}

impl Pool {
    /// An address of each subnet: the `previous` one if it is still free, otherwise the last free one. They are taken
    /// then.
    ///
    /// # Errors
    /// A subnet has no free address; its text.
    pub(super) fn assign(&mut self, previous: &[IpAddr]) -> Result<Vec<IpAddr>, String> {
        let mut assigned = Vec::new();
        for subnet in &self.subnets {
            let kept = previous
                .iter()
                .find(|address| subnet.contains(*address) && !self.taken.contains(address));
            let address = kept.copied().or_else(|| last_free(subnet, &self.taken));
            let address = address.ok_or_else(|| subnet.to_string())?;
            self.taken.insert(address);
            assigned.push(address);
        }
        Ok(assigned)
    }
}

/// The networks on which a service has a static address.
pub(super) fn pools(config: &Config, facts: &Facts) -> BTreeMap<String, Pool> {
    let mut pools: BTreeMap<String, Pool> = BTreeMap::new();
    for (key, attachment) in config.services.values().flat_map(|service| &service.networks) {
        if !attachment.addresses.is_empty() {
            pools
                .entry(key.clone())
                .or_default()
                .taken
                .extend(&attachment.addresses);
        }
    }
    for (key, pool) in &mut pools {
        if let Some(network) = config.networks.get(key) {
            pool.subnets = network
                .subnets
                .iter()
                .filter_map(|subnet| subnet.parse().ok())
                .collect();
            pool.taken.extend(&network.reserved);
        }
        if pool.subnets.is_empty() {
            pool.subnets = facts.subnets.get(key).cloned().unwrap_or_default();
        }
        pool.taken.extend(facts.used.get(key).into_iter().flatten());
    }
    pools
}

/// The last address of a subnet that is not taken. Its first two are the network's and by default the gateway's.
fn last_free(subnet: &IpNet, taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let (first, last) = (number(subnet.network()), number(subnet.broadcast()));
    let last = last.saturating_sub(1);
    let lowest = first.saturating_add(2).max(last.saturating_sub(TRIED));
    let address = |number: u128| match subnet {
        IpNet::V4(_) => u32::try_from(number)
            .ok()
            .map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        IpNet::V6(_) => Some(IpAddr::V6(Ipv6Addr::from_bits(number))),
    };
    (lowest..=last)
        .rev()
        .filter_map(address)
        .find(|address| !taken.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, taken: &[&str]) -> Pool {
        Pool {
            subnets: vec![subnet.parse().unwrap()],
            taken: taken.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    fn text(assigned: Result<Vec<IpAddr>, String>) -> Result<String, String> {
        assigned.map(|addresses| addresses[0].to_string())
    }

    #[test]
    fn the_last_free_addresses_are_assigned_until_the_subnet_is_full() {
        let mut pool = pool("10.0.0.0/29", &["10.0.0.5"]);
        let mut next = || text(pool.assign(&[]));
        assert_eq!(next().as_deref(), Ok("10.0.0.6"));
        assert_eq!(next().as_deref(), Ok("10.0.0.4"));
        assert_eq!(next().as_deref(), Ok("10.0.0.3"));
        assert_eq!(next().as_deref(), Ok("10.0.0.2"));
        assert_eq!(next(), Err("10.0.0.0/29".to_owned()));
        for tiny in [
            "10.0.0.0/31",
            "10.0.0.1/32",
            "0.0.0.0/32",
            "255.255.255.255/32",
            "::/128",
        ] {
            let mut pool = self::pool(tiny, &[]);
            assert!(pool.assign(&[]).is_err(), "{tiny}");
        }
        assert_eq!(
            text(self::pool("fd00::/64", &[]).assign(&[])).as_deref(),
            Ok("fd00::ffff:ffff:ffff:fffe")
        );
    }

    #[test]
    fn a_waypoint_keeps_its_address_while_it_is_free() {
        let previous = ["10.0.0.3".parse().unwrap()];
        assert_eq!(
            text(pool("10.0.0.0/29", &[]).assign(&previous)).as_deref(),
            Ok("10.0.0.3")
        );
        assert_eq!(
            text(pool("10.0.0.0/29", &["10.0.0.3"]).assign(&previous)).as_deref(),
            Ok("10.0.0.6")
        );
        assert_eq!(
            text(pool("10.1.0.0/29", &[]).assign(&previous)).as_deref(),
            Ok("10.1.0.6")
        );
    }
}
