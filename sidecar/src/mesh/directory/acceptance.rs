//! Which instances count. Pure.
//!
//! A node speaks for its own address: an instance there counts always. An instance at another address counts only if this
//! machine may connect there on a stranger's word. Lists are kept, hashed and passed on as they were received, whatever
//! counts of them; otherwise the hashes of two nodes with different networks would never be equal.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

#[cfg(feature = "failpoints")]
use crate::failpoints::Failpoint;
use crate::interface::Networks;
use crate::mesh::wire::Node;

/// Where an instance that counts is. Of several words about one address, that with the first of these counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At the address of the node that offers it.
    AtNode,
    /// At another address, and offered by this node itself.
    Ours,
    /// At another address, on one of our links or in `discovery.instance_networks`.
    Elsewhere,
}

/// Why an instance at an address other than its node's does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// The address is unspecified: `::`, or in 0.0.0.0/8.
    Unspecified,
    /// It is a loopback address.
    Loopback,
    /// It is a link-local address.
    LinkLocal,
    /// It is a multicast address.
    Multicast,
    /// It reaches all hosts of a link.
    Broadcast,
    /// It is an address of this machine.
    Own,
    /// It is the address of another node, which speaks for itself.
    OtherNode,
    /// It is in none of the networks that may be named.
    Elsewhere,
}

impl Exclusion {
    /// Every exclusion.
    pub const ALL: [Self; 8] = [
        Self::Unspecified,
        Self::Loopback,
        Self::LinkLocal,
        Self::Multicast,
        Self::Broadcast,
        Self::Own,
        Self::OtherNode,
        Self::Elsewhere,
    ];

    /// Its name, as a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link_local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Own => "own",
            Self::OtherNode => "other_node",
            Self::Elsewhere => "other_network",
        }
    }

    /// The text for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address, and not its node's",
            Self::LinkLocal => "a link-local address, and not its node's",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Own => "an address of this machine, and not its node's",
            Self::OtherNode => "the address of another node",
            Self::Elsewhere => {
                "neither its node's address nor in a network of this machine's interfaces or of \
                 discovery.instance_networks"
            }
        }
    }
}

/// What one node accepts, at one moment.
#[derive(Debug)]
pub struct Acceptance<'a> {
    /// The node itself: its own offers count always.
    pub own: &'a Node,
    /// The networks of its machine.
    pub machine: &'a Networks,
    /// Further networks in which instances count: `discovery.instance_networks`.
    pub permitted: &'a [IpNet],
    /// The addresses of the peers that have proved to be there, in canonical form.
    pub nodes: BTreeSet<IpAddr>,
}

impl Acceptance<'_> {
    /// Where an instance is that a node offers at this address, if it counts.
    ///
    /// # Errors
    /// If it does not count.
    pub fn place(&self, node: &Node, address: IpAddr) -> Result<Place, Exclusion> {
        let address = address.to_canonical();
        #[cfg(feature = "failpoints")]
        if Failpoint::BelieveAnything.is_active() {
            return Ok(Place::AtNode);
        }
        if address == node.address().to_canonical() {
            return Ok(Place::AtNode);
        }
        if node == self.own {
            return Ok(Place::Ours);
        }
        self.judge_elsewhere(address).map(|()| Place::Elsewhere)
    }

    /// Judges an instance that is not at its node's address.
    fn judge_elsewhere(&self, address: IpAddr) -> Result<(), Exclusion> {
        let (unspecified, link_local) = match address {
            IpAddr::V4(ip) => (ip.octets()[0] == 0, ip.is_link_local()),
            IpAddr::V6(ip) => (ip.is_unspecified(), ip.is_unicast_link_local()),
        };
        let excluded = [
            (unspecified, Exclusion::Unspecified),
            (address.is_loopback(), Exclusion::Loopback),
            (link_local, Exclusion::LinkLocal),
            (address.is_multicast(), Exclusion::Multicast),
            (self.machine.is_broadcast(address), Exclusion::Broadcast),
            (
                address == self.own.address().to_canonical() || self.machine.is_local(address),
                Exclusion::Own,
            ),
            (self.nodes.contains(&address), Exclusion::OtherNode),
            (
                !self.machine.is_on_link(address) && !self.permitted.iter().any(|net| net.contains(&address)),
                Exclusion::Elsewhere,
            ),
        ];
        match excluded.into_iter().find(|(holds, _)| *holds) {
            Some((_, exclusion)) => Err(exclusion),
            None => Ok(()),
        }
    }
}
