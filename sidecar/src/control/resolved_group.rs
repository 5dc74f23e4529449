//! Keeps a server group filled with the addresses that a host name leads to.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::spell::Spell;
use crate::balance::ServerGroup;
use crate::dns::{Lookup, Subscription};

/// Time without an address before a warning: longer than a container takes to be replaced.
const WARN_AFTER: Duration = Duration::from_secs(10);

/// A server group that follows a host name, until this is dropped.
#[derive(Debug)]
pub(super) struct ResolvedGroup {
    filled: Arc<Filled>,
    _follower: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Filled {
    group: Arc<ServerGroup>,
    lookup: Arc<Lookup>,
    port: u16,
    /// The addresses that the group has.
    addresses: Mutex<BTreeSet<IpAddr>>,
}

impl ResolvedGroup {
    /// Fills the group with what is known, and again whenever that changes.
    pub(super) fn start(group: Arc<ServerGroup>, lookup: Arc<Lookup>, port: u16) -> Self {
        let known = lookup.subscribe();
        let filled = Arc::new(Filled {
            group,
            lookup,
            port,
            addresses: Mutex::default(),
        });
        let follower = follow(Arc::clone(&filled), known);
        Self {
            filled,
            _follower: AbortOnDropHandle::new(tokio::spawn(follower)),
        }
    }

    /// Fills the group at once with the addresses that another process of the sidecar knew, unless there is an answer.
    pub(super) fn resume(&self, addresses: BTreeSet<IpAddr>) {
        self.filled.lookup.remember(addresses);
        self.filled.fill(self.filled.lookup.subscribe().addresses());
    }
}

async fn follow(filled: Arc<Filled>, mut known: Subscription) {
    let mut absence = Spell::new(WARN_AFTER);
    loop {
        let addresses = known.addresses();
        absence.note(addresses.is_empty(), Instant::now());
        filled.fill(addresses);
        tokio::select! {
            more = known.changed() => if !more { return },
            () = absence.overdue() => tracing::warn!(
                group = filled.group.name(),
                host = filled.lookup.host(),
                "the host name leads to no address in a network of this machine"
            ),
        }
    }
}

impl Filled {
    fn fill(&self, addresses: BTreeSet<IpAddr>) {
        let mut before = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses == *before {
            return;
        }
        let (group, host) = (self.group.name(), self.lookup.host());
        for address in addresses.difference(&before) {
            tracing::info!(group, host, %address, "the host name leads to another address");
        }
        for address in before.difference(&addresses) {
            tracing::info!(group, host, %address, "the host name no longer leads to an address");
        }
        let server = |ip: &IpAddr| {
            let address = SocketAddr::new(*ip, self.port);
            (format!("{host}@{address}"), address)
        };
        self.group.set_resolved(addresses.iter().map(server));
        *before = addresses;
    }
}
