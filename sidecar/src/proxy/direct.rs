//! Connections to destinations that are not backends, for SOCKS5 servers that allow them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connect::{BUDGET, ConnectError, Connected, Reason, connect_direct};
use crate::fault::Fault;

/// Maximum number of concurrent name lookups: a lookup blocks a thread and cannot be cancelled.
const MAX_LOOKUPS: usize = 32;

/// Maximum number of addresses tried for one name.
const MAX_ADDRESSES: usize = 8;

/// Connects to an address.
pub(super) async fn connect_to(address: SocketAddr) -> Result<Connected, ConnectError> {
    connect_direct(&[address], Instant::now() + BUDGET).await
}

/// Looks up names, at most [`MAX_LOOKUPS`] at once.
#[derive(Debug)]
pub(super) struct Resolver {
    lookups: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Resolver {
    /// Connects to the first address of the name that answers. The lookup takes its time from the same budget.
    pub(super) async fn connect_to(&self, name: &str, port: u16) -> Result<Connected, ConnectError> {
        let deadline = Instant::now() + BUDGET;
        match timeout_at(deadline, self.look_up(name.to_owned(), port)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => connect_direct(&addresses, deadline).await,
            Ok(Err(error)) => Err(ConnectError::of(match Fault::of(&error) {
                Fault::Own(shortage) if shortage.is_general() => Reason::Own(shortage),
                _ => Reason::Unresolved,
            })),
            _ => Err(ConnectError::of(Reason::Unresolved)),
        }
    }

    async fn look_up(&self, name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(&self.lookups)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        // Detached: the lookup goes on after the timeout, and must hold its permit until it ends.
        let lookup = tokio::spawn(async move {
            let found = lookup_host((name, port))
                .await
                .map(|found| found.take(MAX_ADDRESSES).collect());
            drop(permit);
            found
        });
        lookup.await.map_err(io::Error::other)?
    }
}
