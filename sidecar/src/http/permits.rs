//! The permits that a listener has for callers. When all are taken, a newcomer gets that of the caller who was last
//! heard or answered the longest ago: who is silent or slow must not keep others out.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The permits of one listener.
#[derive(Debug)]
pub(super) struct ConnectionPermits {
    most: usize,
    most_each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    by_address: HashMap<IpAddr, usize>,
    /// Everybody, who was heard or answered the longest ago first.
    callers: BTreeMap<u64, Caller>,
    next: u64,
}

#[derive(Debug)]
struct Caller {
    address: IpAddr,
    abort: CancellationToken,
}

/// One caller's permit; given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    permits: Arc<ConnectionPermits>,
    address: IpAddr,
    /// Told when the connection is to end at once.
    pub(super) abort: CancellationToken,
    /// Its key among the callers.
    key: Mutex<u64>,
}

impl ConnectionPermits {
    pub(super) fn new(most: usize, most_each: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_each,
            taken: Mutex::default(),
        })
    }

    /// A permit for a caller. Where its address has enough, another of that address makes room; where all are taken,
    /// anybody. `None` where those who made room have not gone yet.
    pub(super) fn take(
        self: &Arc<Self>,
        address: IpAddr,
        abort: CancellationToken,
    ) -> Option<ConnectionPermit> {
        let mut guard = self.taken();
        let taken = &mut *guard;
        let enough = taken
            .by_address
            .get(&address)
            .is_some_and(|count| *count >= self.most_each);
        if enough || taken.count >= self.most {
            // Its permit is counted until its task has ended; for that moment there is one more.
            let mut callers = taken.callers.iter();
            let (key, _) = callers.find(|(_, caller)| !enough || caller.address == address)?;
            let key = *key;
            taken.callers.remove(&key)?.abort.cancel();
        }
        taken.count += 1;
        *taken.by_address.entry(address).or_default() += 1;
        let key = Mutex::new(taken.line_up(Caller {
            address,
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

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn line_up(&mut self, caller: Caller) -> u64 {
        let key = self.next;
        self.next += 1;
        self.callers.insert(key, caller);
        key
    }
}

impl ConnectionPermit {
    /// The caller was heard, or answered.
    pub(super) fn refresh(&self) {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.permits.taken();
        // Who had to make room already is not lined up again.
        if let Some(caller) = taken.callers.remove(&key) {
            *key = taken.line_up(caller);
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let key = *self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.permits.taken();
        taken.callers.remove(&key);
        taken.count -= 1;
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    fn take(permits: &Arc<ConnectionPermits>, last: u8) -> Option<ConnectionPermit> {
        permits.take(address(last), CancellationToken::new())
    }

    #[test]
    fn who_was_heard_the_longest_ago_makes_room() {
        let permits = ConnectionPermits::new(3, 3);
        let all: Vec<ConnectionPermit> = (1..=3).map(|n| take(&permits, n).unwrap()).collect();
        all[0].refresh();
        let newcomers = (take(&permits, 4).unwrap(), take(&permits, 5).unwrap());
        let abort: Vec<bool> = all.iter().map(|permit| permit.abort.is_cancelled()).collect();
        assert_eq!(abort, [false, true, true]);
        all[1].refresh();
        drop(all);
        assert!(!newcomers.0.abort.is_cancelled() && !newcomers.1.abort.is_cancelled());
        let taken = permits.taken();
        assert_eq!((taken.count, taken.callers.len()), (2, 2));
        drop(taken);
    }

    #[test]
    fn an_address_that_has_enough_makes_room_for_itself() {
        let permits = ConnectionPermits::new(10, 2);
        let other = take(&permits, 2).unwrap();
        let both = (take(&permits, 1).unwrap(), take(&permits, 1).unwrap());
        let third = take(&permits, 1).unwrap();
        assert!(both.0.abort.is_cancelled() && !both.1.abort.is_cancelled() && !other.abort.is_cancelled());
        drop((both, other, third));
        assert!(
            permits.taken().by_address.is_empty(),
            "nothing is kept of who is gone"
        );
    }

    #[test]
    fn who_made_room_takes_a_place_until_gone() {
        let permits = ConnectionPermits::new(2, 2);
        let all: Vec<ConnectionPermit> = (1..=2).map(|n| take(&permits, n).unwrap()).collect();
        let newcomers: Vec<ConnectionPermit> = (3..=4).map(|n| take(&permits, n).unwrap()).collect();
        let more: Vec<ConnectionPermit> = (5..=6).filter_map(|n| take(&permits, n)).collect();
        assert!(
            all.iter()
                .chain(&newcomers)
                .all(|permit| permit.abort.is_cancelled())
        );
        drop((all, newcomers, more));
        assert_eq!(permits.taken().count, 0);
    }
}
