//! What the kernel says about the network interfaces at one moment, and the networks that each was in before. Pure.

use std::net::IpAddr;
use std::ops::BitOr;

use indexmap::IndexMap;
use ipnet::IpNet;

use super::IpType;

/// Names whose networks are remembered. The name that was seen least recently makes room.
const MAX_REMEMBERED: usize = 256;

/// The network interfaces, in the kernel's order, and what is remembered of those that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub(crate) interfaces: Vec<Interface>,
    /// The networks that the interface of each name was last in; none for a name that is expected to appear.
    former: IndexMap<String, Vec<IpNet>>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is a loopback interface.
    pub loopback: bool,
    /// Whether it is up; nothing can be bound to the addresses of one that is down.
    pub up: bool,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address and the length of its network's prefix.
    pub net: IpNet,
    /// How far it is valid, `RT_SCOPE_`: 0 is everywhere, more is less far.
    pub scope: u8,
    /// Its flags.
    pub flags: AddressFlags,
}

/// Flags of an address, `IFA_F_` of `linux/if_addr.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressFlags(pub u32);

impl AddressFlags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Of IPv4: not the first in its network. Of IPv6: temporary (RFC 8981).
    pub const SECONDARY: Self = Self(0x01);
    /// It may be used although it is tentative (RFC 4429).
    pub const OPTIMISTIC: Self = Self(0x04);
    /// Another host has it.
    pub const DUPLICATE: Self = Self(0x08);
    /// It is not to be used for new connections.
    pub const DEPRECATED: Self = Self(0x20);
    /// It is in duplicate address detection.
    pub const TENTATIVE: Self = Self(0x40);
    /// It was not learned and does not expire.
    pub const PERMANENT: Self = Self(0x80);
    /// Temporary addresses are derived from it.
    pub const MANAGES_TEMPORARY: Self = Self(0x100);
    /// It is stable, and reveals no hardware address (RFC 7217).
    pub const STABLE_PRIVACY: Self = Self(0x800);

    /// Whether any of these is set.
    #[must_use]
    pub fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
}

impl BitOr for AddressFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Address {
    /// The address itself.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.net.addr()
    }

    /// Whether it is still in duplicate address detection (RFC 4862, section 5.4), so that nothing can be bound to it.
    #[must_use]
    pub fn is_tentative(&self) -> bool {
        self.flags.has(AddressFlags::TENTATIVE) && !self.flags.has(AddressFlags::OPTIMISTIC)
    }

    /// Why other nodes cannot reach this machine by it, if they cannot.
    pub(super) fn defect(&self) -> Option<&'static str> {
        match self.ip() {
            _ if self.flags.has(AddressFlags::DUPLICATE) => {
                Some("another host has it: duplicate address detection failed")
            }
            // It means nothing without an interface of the reader.
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("link-local"),
            _ => None,
        }
    }
}

impl Table {
    /// A table of these interfaces.
    #[must_use]
    pub fn new(interfaces: Vec<Interface>) -> Self {
        Self {
            interfaces,
            former: IndexMap::new(),
        }
        .remembering()
    }

    /// The table that follows this one.
    #[must_use]
    pub fn followed_by(&self, interfaces: Vec<Interface>) -> Self {
        Self {
            interfaces,
            former: self.former.clone(),
        }
        .remembering()
    }

    /// Expects an interface of this name: another one may stand in for it although it was never seen.
    #[must_use]
    pub fn expecting(mut self, nic: &str) -> Self {
        self.former.entry(nic.to_owned()).or_default();
        self
    }

    /// Remembers the networks of the interfaces that there are now.
    fn remembering(mut self) -> Self {
        for Interface { name, addresses, .. } in self.interfaces.iter().filter(|it| !it.loopback) {
            let now = addresses.iter().filter(|it| it.defect().is_none());
            let now: Vec<IpNet> = now.map(|it| it.net.trunc()).collect();
            if now.is_empty() {
                continue;
            }
            // A family that has no address now had its networks before.
            let mut networks = self.former.shift_remove(name).unwrap_or_default();
            networks.retain(|old| !now.iter().any(|net| family(net) == family(old)));
            networks.extend(now);
            self.former.insert(name.clone(), networks);
        }
        while self.former.len() > MAX_REMEMBERED {
            self.former.shift_remove_index(0);
        }
        self
    }

    pub(super) fn former(&self, nic: &str) -> Option<&[IpNet]> {
        self.former.get(nic).map(Vec::as_slice)
    }

    pub(super) fn named(&self, nic: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|it| it.name == nic)
    }

    /// The names of all interfaces, separated by commas.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = self.interfaces.iter().map(|it| it.name.as_str()).collect();
        names.sort_unstable();
        names.join(", ")
    }

    /// Whether an interface has this address, and it is still in duplicate address detection.
    #[must_use]
    pub fn is_tentative(&self, ip: IpAddr) -> bool {
        let mut addresses = self.interfaces.iter().flat_map(|it| &it.addresses);
        addresses.any(|it| it.ip() == ip && it.is_tentative() && it.defect().is_none())
    }

    /// Whether an interface that is up has this address.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        let mut up = self.interfaces.iter().filter(|it| it.up);
        up.any(|it| it.addresses.iter().any(|address| address.ip() == ip))
    }

    /// Whether the interface that has this address is up or, without an address, any interface other than loopback.
    #[must_use]
    pub fn is_up(&self, address: Option<IpAddr>) -> bool {
        match address {
            // It has a whole network of addresses.
            Some(ip) if ip.is_loopback() => self.interfaces.iter().any(|it| it.loopback && it.up),
            Some(ip) => self.has(ip),
            None => self.interfaces.iter().any(|it| !it.loopback && it.up),
        }
    }
}

fn family(net: &IpNet) -> IpType {
    IpType::of(net.addr())
}
