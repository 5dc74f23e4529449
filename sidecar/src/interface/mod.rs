//! The addresses of this machine's network interfaces, as they change.
//!
//! [`table`] holds them, [`choice`] picks one, and [`networks`] tells which are near, all pure; `kernel` reads them by netlink; [`addresses`] watches them.

pub mod addresses;
pub mod choice;
mod kernel;
pub mod networks;
pub mod table;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub(crate) use self::addresses::is_up;
pub use self::addresses::{Addresses, Follow, wait_until_unique};
pub use self::choice::{Choice, Reason, Unusable};
pub use self::networks::Networks;
pub use self::table::Table;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpType {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

impl IpType {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
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
    /// No interface has a usable address.
    #[error(transparent)]
    Unusable(#[from] Unusable),
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
