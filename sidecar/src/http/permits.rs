//! Connection permits of an HTTP listener. At the limit, an idle connection is closed to make room for a new one, or if each
//! has a request, the least recently active one, so that silent or slow clients cannot keep others out.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The permits of one listener.
#[derive(Debug)]
pub(super) struct ConnectionPermits {
    max: usize,
    max_per_address: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    count: usize,
    by_address: HashMap<IpAddr, usize>,
    /// The connections that have not been evicted, least recently active first.
    connections: BTreeMap<u64, Holder>,
    next_key: u64,
}

#[derive(Debug)]
struct Holder {
    address: IpAddr,
    /// Whether it has a request that is not answered yet.
    busy: bool,
    abort: CancellationToken,
}

/// The permit of one connection, returned when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    permits: Arc<ConnectionPermits>,
    address: IpAddr,
    /// Cancelled when the connection is evicted.
    pub(super) abort: CancellationToken,
    /// Its key among the connections.
    key: Mutex<u64>,
}

impl ConnectionPermits {
    pub(super) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_address,
            held: Mutex::default(),
        })
    }

    /// A permit for a connection from `address`. At a limit, evicts the least recently active of the idle connections, or
    /// of all if none is idle: one of that address if the address is at its limit, otherwise any. `None` if all of them
    /// are evicted but have not ended yet.
    pub(super) fn take(
        self: &Arc<Self>,
        address: IpAddr,
        abort: CancellationToken,
    ) -> Option<ConnectionPermit> {
        let mut guard = self.held();
        let held = &mut *guard;
        let of_address = held.by_address.get(&address);
        let address_full = of_address.is_some_and(|count| *count >= self.max_per_address);
        if address_full || held.count >= self.max {
            // An evicted connection holds its permit until its task has ended, so the limit is exceeded by one for a moment.
            held.evict(|holder| !address_full || holder.address == address)?;
        }
        held.count += 1;
        *held.by_address.entry(address).or_default() += 1;
        let key = Mutex::new(held.push(Holder {
            address,
            busy: false,
            abort: abort.clone(),
        }));
        drop(guard);
        Some(ConnectionPermit {
            permits: Arc::clone(self),
            address,
            abort,
            key,
        })
    }

    /// Evicts a connection, as at the limit.
    pub(super) fn evict(&self) {
        self.held().evict(|_| true);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Evicts one of the connections that `may` be: the least recently active of those that are idle, or of all if none is.
    /// `None` if there is none.
    fn evict(&mut self, may: impl Fn(&Holder) -> bool) -> Option<()> {
        let least_recent = |only_idle: bool| {
            let mut connections = self.connections.iter();
            connections.find(|(_, holder)| may(holder) && !(only_idle && holder.busy))
        };
        let key = *least_recent(true).or_else(|| least_recent(false))?.0;
        self.connections.remove(&key)?.abort.cancel();
        Some(())
    }

    /// Adds a connection as the most recently active one.
    fn push(&mut self, holder: Holder) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.connections.insert(key, holder);
        key
    }
}

impl ConnectionPermit {
    /// Marks the connection as active now, with a request or after its answer.
    pub(super) fn set_busy(&self, busy: bool) {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.permits.held();
        // An evicted connection is no longer in the list.
        if let Some(holder) = held.connections.remove(&key) {
            *key = held.push(Holder { busy, ..holder });
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let key = *self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.permits.held();
        held.connections.remove(&key);
        held.count -= 1;
        if let Some(count) = held.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(permits: &Arc<ConnectionPermits>, last: u8) -> Option<ConnectionPermit> {
        permits.take([127, 0, 0, last].into(), CancellationToken::new())
    }

    #[test]
    fn the_least_recently_active_connection_is_evicted() {
        let permits = ConnectionPermits::new(3, 3);
        let first: Vec<ConnectionPermit> = (1..=3).map(|n| take(&permits, n).unwrap()).collect();
        first[0].set_busy(false);
        let (fourth, fifth) = (take(&permits, 4).unwrap(), take(&permits, 5).unwrap());
        let evicted: Vec<bool> = first.iter().map(|permit| permit.abort.is_cancelled()).collect();
        assert_eq!(evicted, [false, true, true]);
        first[1].set_busy(false);
        drop(first);
        assert!(!fourth.abort.is_cancelled() && !fifth.abort.is_cancelled());
        let held = permits.held();
        assert_eq!((held.count, held.connections.len()), (2, 2));
        drop(held);
    }

    #[test]
    fn idle_connections_are_evicted_before_busy_ones() {
        let permits = ConnectionPermits::new(3, 3);
        let first: Vec<ConnectionPermit> = (1..=3).map(|n| take(&permits, n).unwrap()).collect();
        first[0].set_busy(true);
        first[1].set_busy(true);
        first[1].set_busy(false);
        // The third is idle the longest, then the second; then only busy ones are left.
        let others: Vec<ConnectionPermit> = (4..=6)
            .map(|n| {
                let other = take(&permits, n).unwrap();
                other.set_busy(true);
                other
            })
            .collect();
        let evicted = |of: &[ConnectionPermit]| of.iter().map(|p| p.abort.is_cancelled()).collect::<Vec<_>>();
        assert_eq!(evicted(&first), [true, true, true]);
        assert_eq!(evicted(&others), [false, false, false]);
        let order = |permits: &ConnectionPermits| permits.held().connections.len();
        assert_eq!(order(&permits), 3);
    }

    #[test]
    fn an_address_at_its_limit_evicts_its_own_connection() {
        let permits = ConnectionPermits::new(10, 2);
        let other = take(&permits, 2).unwrap();
        let (first, second) = (take(&permits, 1).unwrap(), take(&permits, 1).unwrap());
        let third = take(&permits, 1).unwrap();
        assert!(first.abort.is_cancelled());
        assert!(!second.abort.is_cancelled() && !other.abort.is_cancelled());
        drop((first, second, other, third));
        assert!(
            permits.held().by_address.is_empty(),
            "addresses without connections are kept"
        );
    }

    #[test]
    fn an_evicted_connection_holds_its_permit_until_it_ends() {
        let permits = ConnectionPermits::new(2, 2);
        let first: Vec<ConnectionPermit> = (1..=2).map(|n| take(&permits, n).unwrap()).collect();
        let second: Vec<ConnectionPermit> = (3..=4).map(|n| take(&permits, n).unwrap()).collect();
        let third: Vec<ConnectionPermit> = (5..=6).filter_map(|n| take(&permits, n)).collect();
        assert!(
            first
                .iter()
                .chain(&second)
                .all(|permit| permit.abort.is_cancelled())
        );
        drop((first, second, third));
        assert_eq!(permits.held().count, 0);
    }
}
