//! Connections to destinations that are no backends, where a server allows them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connect::{BUDGET, ConnectError, Connected, Reason, connect_direct};

/// How many names may be looked up at once: a lookup blocks a thread and cannot be called off.
const LOOKUPS: usize = 32;

/// How many addresses of one name are tried.
const ADDRESSES: usize = 8;

/// Connects to an address.
pub(super) async fn connect_to(address: SocketAddr) -> Result<Connected, ConnectError> {
    connect_direct(&[address], Instant::now() + BUDGET).await
}

/// Looks up names, a bounded number at once.
#[derive(Debug)]
pub(super) struct Resolver {
    lookups: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }
}

impl Resolver {
    /// Connects to the first address of the name that answers; looking it up counts against the same budget.
    pub(super) async fn connect_to(&self, name: &str, port: u16) -> Result<Connected, ConnectError> {
        let deadline = Instant::now() + BUDGET;
        match timeout_at(deadline, self.look_up(name.to_owned(), port)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => connect_direct(&addresses, deadline).await,
            _ => Err(ConnectError::of(Reason::Unresolved)),
        }
    }

    async fn look_up(&self, name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(&self.lookups)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        // Detached on purpose: when we stop waiting, the lookup goes on, and so must hold its permit.
        let lookup = tokio::spawn(async move {
            let found = lookup_host((name, port))
                .await
                .map(|found| found.take(ADDRESSES).collect());
            drop(permit);
            found
        });
        lookup.await.map_err(io::Error::other)?
    }
}
