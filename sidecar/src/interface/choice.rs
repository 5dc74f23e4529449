//! Picks the address of an interface, or of the one that takes its place. Pure.
//!
//! | order | interface |
//! |---|---|
//! | 1 | the one of the configured name |
//! | 2 | one with an address in a network that the configured one was in |
//! | 3 | if there is none of the name: the only one with an address that is not loopback |
//!
//! Of an interface's addresses, the one in use stays in use as long as it can. Otherwise the choice is the kernel's own
//! for a stable source: RFC 6724, section 5, rules 2, 3 and 7 without a destination for IPv6, `inet_select_addr` for IPv4.

use std::fmt;
use std::net::IpAddr;

use super::IpType;
use super::table::{Address, AddressFlags, Interface, Table};

/// The address to use, and the interface that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The interface that has the address.
    pub nic: String,
    /// The address.
    pub address: IpAddr,
    /// Whether it is still in duplicate address detection, so that nothing can be bound to it.
    pub tentative: bool,
    /// Why this interface.
    pub reason: Reason,
}

/// Why an interface was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is the configured one.
    Configured,
    /// It is in a network that the configured one was in.
    SameNetwork,
    /// It is the only one that is not loopback.
    OnlyOne,
}

/// Why there is no address to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no such interface; lists those that exist.
    #[error("there is no network interface {nic}; there are: {there}")]
    Unknown {
        /// The name asked for.
        nic: String,
        /// The names of those that exist.
        there: String,
    },
    /// The interface is down.
    #[error("network interface {nic} is down")]
    Down {
        /// The name asked for.
        nic: String,
    },
    /// The interface has no usable address of the family.
    #[error("network interface {nic} has no {ip_type} address{others}")]
    NoAddress {
        /// The name asked for.
        nic: String,
        /// The family asked for.
        ip_type: IpType,
        /// Its addresses that others cannot use, and why.
        others: Others,
    },
    /// The address is still in duplicate address detection.
    #[error("address {address} of network interface {nic} is still in duplicate address detection")]
    Tentative {
        /// The interface.
        nic: String,
        /// The address.
        address: IpAddr,
    },
}

/// Addresses of an interface that others cannot use, each with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others(Vec<(IpAddr, &'static str)>);

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, why)) in self.0.iter().enumerate() {
            let before = if index == 0 {
                " that other nodes can use: "
            } else {
                ", "
            };
            write!(f, "{before}{address} ({why})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configured => "it is the configured one",
            Self::SameNetwork => "it is in the same network",
            Self::OnlyOne => "it is the only one that is not loopback",
        })
    }
}

impl Choice {
    /// The choice, if its address can be bound now.
    ///
    /// # Errors
    /// While its address is in duplicate address detection.
    pub fn bindable(self) -> Result<Self, Unusable> {
        match self.tentative {
            false => Ok(self),
            true => Err(Unusable::Tentative {
                nic: self.nic,
                address: self.address,
            }),
        }
    }
}

impl Table {
    /// The address of this family to use for the interface of this name; `current` is the one in use.
    ///
    /// # Errors
    /// When neither the interface nor one in its place has a usable address.
    pub fn choose(&self, nic: &str, ip_type: IpType, current: Option<&Choice>) -> Result<Choice, Unusable> {
        let named = self.named(nic);
        let held = current.map(|choice| choice.address);
        if let Some(interface) = named
            && let Some(address) = best(interface, ip_type, held, |_| true)
        {
            return Ok(chosen(interface, address, Reason::Configured));
        }
        if let Some(former) = self.former(nic) {
            let others = || self.interfaces.iter().filter(|it| !it.loopback && it.name != nic);
            let inside = |ip: IpAddr| former.iter().any(|net| net.contains(&ip));
            let mut same: Vec<_> = others()
                .filter_map(|it| Some((it, best(it, ip_type, held, inside)?)))
                .collect();
            same.sort_by_key(|(it, _)| current.is_none_or(|choice| choice.nic != it.name));
            if let Some((interface, address)) = same.first() {
                return Ok(chosen(interface, address, Reason::SameNetwork));
            }
            let mut usable = others().filter_map(|it| Some((it, best(it, ip_type, held, |_| true)?)));
            if named.is_none()
                && let (Some((interface, address)), None) = (usable.next(), usable.next())
            {
                return Ok(chosen(interface, address, Reason::OnlyOne));
            }
        }
        Err(match named {
            None => Unusable::Unknown {
                nic: nic.to_owned(),
                there: self.names(),
            },
            Some(interface) if !interface.up => Unusable::Down { nic: nic.to_owned() },
            Some(interface) => Unusable::NoAddress {
                nic: nic.to_owned(),
                ip_type,
                others: Others(
                    of_family(interface, ip_type)
                        .filter_map(|it| Some((it.ip(), it.defect()?)))
                        .collect(),
                ),
            },
        })
    }
}

fn chosen(interface: &Interface, address: &Address, reason: Reason) -> Choice {
    Choice {
        nic: interface.name.clone(),
        address: address.ip(),
        tentative: address.is_tentative(),
        reason,
    }
}

fn of_family(interface: &Interface, ip_type: IpType) -> impl Iterator<Item = &Address> {
    let addresses = interface.addresses.iter();
    addresses.filter(move |it| IpType::of(it.ip()) == ip_type)
}

/// The best usable address of an interface; of equal ones the first, as in the kernel.
fn best(
    interface: &Interface,
    ip_type: IpType,
    held: Option<IpAddr>,
    wanted: impl Fn(IpAddr) -> bool,
) -> Option<&Address> {
    of_family(interface, ip_type)
        .filter(|it| interface.up && it.defect().is_none() && wanted(it.ip()))
        .min_by_key(|it| rank(it, held))
}

/// The lower, the better.
fn rank(address: &Address, held: Option<IpAddr>) -> impl Ord + use<> {
    let flags = address.flags;
    let (local, stable) = match address.ip() {
        IpAddr::V4(ip) => (ip.is_link_local(), true),
        IpAddr::V6(ip) => {
            let stable =
                AddressFlags::PERMANENT | AddressFlags::MANAGES_TEMPORARY | AddressFlags::STABLE_PRIVACY;
            (ip.is_unique_local(), flags.has(stable))
        }
    };
    (
        address.is_tentative(),
        flags.has(AddressFlags::DEPRECATED),
        held != Some(address.ip()),
        flags.has(AddressFlags::SECONDARY),
        address.scope,
        local,
        !stable,
    )
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
