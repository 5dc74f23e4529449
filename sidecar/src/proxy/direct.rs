//! Connections to destinations that are not backends, for SOCKS5 servers that allow them.

use std::net::SocketAddr;

use tokio::time::{Instant, timeout_at};

use super::connect::{BUDGET, ConnectError, Connected, Reason, connect_direct};
use crate::fault::Fault;
use crate::resolve::Resolver;

/// Connects to an address.
pub(super) async fn connect_to(address: SocketAddr) -> Result<Connected, ConnectError> {
    connect_direct(&[address], Instant::now() + BUDGET).await
}

/// Connects to the first address of a name that answers. The lookup takes its time from the same budget.
pub(super) async fn connect_to_host(
    resolver: &Resolver,
    name: &str,
    port: u16,
) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + BUDGET;
    match timeout_at(deadline, resolver.look_up(name.to_owned(), port)).await {
        Ok(Ok(addresses)) if !addresses.is_empty() => connect_direct(&addresses, deadline).await,
        Ok(Err(error)) => Err(ConnectError::of(match Fault::of(&error) {
            Fault::Own(shortage) if shortage.is_general() => Reason::Own(shortage),
            _ => Reason::Unresolved,
        })),
        _ => Err(ConnectError::of(Reason::Unresolved)),
    }
}
