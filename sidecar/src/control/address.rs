//! The address of a server or a listener as commands give it: an IP address, or a host name that is resolved when the
//! command runs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::error::CommandError;
use super::values::Value;
use crate::resolve::HostPort;

/// An address, as commands give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address.
    Ip(SocketAddr),
    /// A host name, and its address once it is resolved.
    Host(HostPort, Option<SocketAddr>),
}

impl Address {
    /// The host name, if there is one.
    #[must_use]
    pub fn host(&self) -> Option<&HostPort> {
        match self {
            Self::Ip(_) => None,
            Self::Host(host, _) => Some(host),
        }
    }

    /// The IP address; `None` until a host name is resolved.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Host(_, resolved) => *resolved,
        }
    }

    /// The IP address of an address whose host name was resolved before.
    pub(super) fn resolved(&self) -> Result<SocketAddr, CommandError> {
        self.ip()
            .ok_or_else(|| CommandError::refused(self.to_string(), format!("address {self} is not resolved")))
    }

    /// The address without its port; `None` until a host name is resolved.
    pub(super) fn host_ip(&self) -> Option<IpAddr> {
        self.ip().map(|address| address.ip())
    }

    /// Records what a host name was resolved to.
    pub(super) fn set_resolved(&mut self, address: SocketAddr) {
        if let Self::Host(_, resolved) = self {
            *resolved = Some(address);
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Host(host, _) => host.fmt(f),
        }
    }
}

impl Value for Address {
    const EXPECTED: &'static str = "an address such as 127.0.0.1:1080, [::1]:1080 or host.example:1080";

    fn parse(word: &str) -> Option<Self> {
        match word.parse() {
            Ok(address) => Some(Self::Ip(address)),
            Err(_) => Some(Self::Host(word.parse().ok()?, None)),
        }
    }
}
