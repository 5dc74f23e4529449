//! Connections to destinations that are not backends, for SOCKS5 servers that allow them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::time::{Instant, timeout_at};

use super::wire::Destination;
use crate::fault::Fault;
use crate::proxy::connect::{BUDGET, ConnectError, Connected, Reason, connect_direct};
use crate::resolve::Resolver;

/// The addresses that clients may reach directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Any.
    Any,
    /// None that only this machine or its link reaches, see [`is_local`].
    Remote,
}

/// Why a destination could not be connected to.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectError {
    /// All of its addresses are out of scope.
    #[error("the destination is loopback or link-local, and the listener is not on loopback")]
    Local,
    #[error(transparent)]
    Unconnected(#[from] ConnectError),
}

/// Connects to the first address of a destination that answers. A lookup takes its time from the same budget. The scope
/// holds for the addresses that a name has now, since those are connected to.
pub(super) async fn connect_to(
    destination: &Destination,
    scope: Scope,
    resolver: &Resolver,
) -> Result<Connected, DirectError> {
    let deadline = Instant::now() + BUDGET;
    let mut addresses = match destination {
        Destination::Address(address) => vec![*address],
        Destination::Domain(name, port) => look_up(resolver, name, *port, deadline).await?,
    };
    if scope == Scope::Remote {
        addresses.retain(|address| !is_local(address.ip()));
        if addresses.is_empty() {
            return Err(DirectError::Local);
        }
    }
    Ok(connect_direct(&addresses, deadline).await?)
}

async fn look_up(
    resolver: &Resolver,
    name: &str,
    port: u16,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ConnectError> {
    match timeout_at(deadline, resolver.look_up(name.to_owned(), port)).await {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(Err(error)) => Err(ConnectError::of(match Fault::of(&error) {
            Fault::Own(shortage) if shortage.is_general() => Reason::Own(shortage),
            _ => Reason::Unresolved,
        })),
        _ => Err(ConnectError::of(Reason::Unresolved)),
    }
}

/// Whether an address leads to this machine's loopback interface or to its link. Connecting to an unspecified address
/// leads to loopback, too. IPv4 addresses count however they are embedded in IPv6 (RFC 4291, section 2.5.5).
fn is_local(address: IpAddr) -> bool {
    let v4 = |v4: Ipv4Addr| v4.is_loopback() || v4.is_link_local() || v4.octets()[0] == 0;
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => {
            // Of `::` and `::1` the embedded addresses are 0.0.0.0 and 0.0.0.1.
            address.is_unicast_link_local() || address.to_ipv4().is_some_and(v4)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn loopback_and_link_local_addresses_are_local_in_every_form() {
        for local in [
            "127.0.0.1",
            "127.255.255.255",
            "0.0.0.0",
            "169.254.169.254",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "fe80::1",
            "febf::1",
        ] {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for remote in [
            "192.0.2.7",
            "10.0.0.1",
            "126.0.0.1",
            "::ffff:192.0.2.7",
            "2001:db8::1",
            "fd00::1",
            "fec0::1",
        ] {
            assert!(!is_local(remote.parse().unwrap()), "{remote}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_as_local_as_its_mapped_form(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(is_local(address.into()), is_local(address.to_ipv6_mapped().into()));
        }
    }
}
