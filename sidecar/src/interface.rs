//! Finds the address of a network interface.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpType {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

impl FromStr for IpType {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "v4" => Ok(Self::V4),
            "v6" => Ok(Self::V6),
            _ => Err(()),
        }
    }
}

impl fmt::Display for IpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        })
    }
}

/// Why an interface's address was not found.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The system does not list its interfaces.
    #[error("the network interfaces cannot be listed")]
    List(#[from] std::io::Error),
    /// There is no such interface; lists those that exist.
    #[error("there is no network interface {nic}; there are: {there}")]
    Unknown {
        /// The name asked for.
        nic: String,
        /// The names of those that exist.
        there: String,
    },
    /// The interface has no address of the family.
    #[error("network interface {nic} has no {ip_type} address")]
    NoAddress {
        /// The name asked for.
        nic: String,
        /// The family asked for.
        ip_type: IpType,
    },
}

/// The first address of the family on the interface; a link-local IPv6 address only if there is no other.
///
/// # Errors
/// When the interface does not exist or has no such address.
pub fn address_of(nic: &str, ip_type: IpType) -> Result<IpAddr, InterfaceError> {
    let interfaces = if_addrs::get_if_addrs()?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut known = false;
    for interface in interfaces.iter().filter(|i| i.name == nic) {
        known = true;
        match (interface.ip(), ip_type) {
            (ip @ IpAddr::V4(_), IpType::V4) | (ip @ IpAddr::V6(_), IpType::V6) => addresses.push(ip),
            _ => {}
        }
    }
    if !known {
        let mut names: Vec<&str> = interfaces.iter().map(|i| i.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        return Err(InterfaceError::Unknown {
            nic: nic.to_owned(),
            there: names.join(", "),
        });
    }
    addresses.sort_by_key(|ip| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
    addresses
        .into_iter()
        .next()
        .ok_or_else(|| InterfaceError::NoAddress {
            nic: nic.to_owned(),
            ip_type,
        })
}

/// An interface with a configured address, instead of one that is looked up: for several sidecars that share a machine's
/// interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The interface's name.
    pub nic: String,
    /// The configured address.
    pub address: IpAddr,
}

impl Pinned {
    /// The address, if it is of the family.
    ///
    /// # Errors
    /// When it is not.
    pub fn address_of(&self, ip_type: IpType) -> Result<IpAddr, InterfaceError> {
        match (self.address, ip_type) {
            (IpAddr::V4(_), IpType::V4) | (IpAddr::V6(_), IpType::V6) => Ok(self.address),
            _ => Err(InterfaceError::NoAddress {
                nic: self.nic.clone(),
                ip_type,
            }),
        }
    }
}
