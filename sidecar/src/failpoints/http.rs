//! Faults of listeners that balance requests. Clients with a new connection for each request notice few of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Failpoint, copies};
use crate::balance::{Lease, ServerGroup, ServerGroups};

/// Requests of a connection that are balanced with [`Failpoint::BalanceConnections`], before as many that are not, and so on. A
/// mesh in which a kept connection, such as the frontend's, only ever reached one instance would never be ready.
const BALANCED: usize = 16;

/// Picks at most until the endpoint of a connection is picked again.
const MAX_PICKS: usize = 16;

/// Connections of which the endpoint is known at most; then all are forgotten.
const MAX_CLIENTS: usize = 10_000;

/// What a request picks its endpoint from: with [`Failpoint::KeepWithdrawn`], each server that was ever up.
pub(crate) fn request_backends(groups: Arc<ServerGroups>) -> Arc<ServerGroups> {
    static COPIES: Mutex<BTreeMap<String, Arc<ServerGroup>>> = Mutex::new(BTreeMap::new());
    if !Failpoint::KeepWithdrawn.is_active() {
        return groups;
    }
    copies(&COPIES, &groups, |group, copy| {
        let up = group.servers().into_iter().filter(|server| server.up);
        let mut ever: BTreeMap<_, _> = copy
            .servers()
            .into_iter()
            .map(|s| (s.name, (s.address, s.weight)))
            .collect();
        ever.extend(up.map(|s| (s.name, (s.address, s.weight))));
        let ever = ever
            .into_iter()
            .map(|(name, (address, weight))| (name, address, weight));
        copy.set_learned(ever.collect());
    })
}

/// The endpoint of a client's request: with [`Failpoint::BalanceConnections`], the same of its connection for [`BALANCED`] requests in a row.
pub(crate) fn endpoint(client: SocketAddr, pick: impl Fn() -> Option<Lease>) -> Option<Lease> {
    static KNOWN: Mutex<BTreeMap<SocketAddr, (usize, SocketAddr)>> = Mutex::new(BTreeMap::new());
    let picked = pick()?;
    if !Failpoint::BalanceConnections.is_active() {
        return Some(picked);
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MAX_CLIENTS {
        known.clear();
    }
    let (requests, endpoint) = known.entry(client).or_insert((0, picked.address()));
    let is_balanced = (*requests / BALANCED).is_multiple_of(2);
    *requests += 1;
    if is_balanced || picked.address() == *endpoint {
        *endpoint = picked.address();
        return Some(picked);
    }
    let again = (0..MAX_PICKS)
        .filter_map(|_| pick())
        .find(|lease| lease.address() == *endpoint);
    // It is gone.
    Some(again.unwrap_or_else(|| {
        *endpoint = picked.address();
        picked
    }))
}

/// Waits until the connections of a listener are reset because it stops: for ever, unless [`Failpoint::UnannouncedEnd`] is
/// active.
pub(crate) async fn is_cut(stop: &CancellationToken) {
    if Failpoint::UnannouncedEnd.is_active() {
        stop.cancelled().await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Whether a request that an instance may have acted on can be sent again.
pub(crate) fn may_retry() -> bool {
    !Failpoint::NoRetry.is_active()
}
