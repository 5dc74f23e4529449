//! How many large bodies are read at once: each costs its bytes several times over until it is understood.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to so many bytes are read at any time. Those of a mesh of a few dozen nodes are.
pub(super) const SMALL: u64 = 16 * 1024;
/// The most large bodies at a time, of one address only one.
const AT_ONCE: usize = 3;

/// Gives large bodies their turns.
#[derive(Debug)]
pub(super) struct LargeBodies {
    all: Arc<Semaphore>,
    /// One permit each, for the addresses that have or wait for one.
    each: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// The right to hold one large body; over when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _each: OwnedSemaphorePermit,
}

impl LargeBodies {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            each: Mutex::default(),
        }
    }

    /// Waits for the turn of a body from an address. Nothing where it is never to come.
    pub(super) async fn turn(&self, from: IpAddr) -> Option<Turn> {
        let each = self.of(from);
        // First the address's own, lest one address that sends many have others wait.
        let each = each.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn {
            _all: all,
            _each: each,
        })
    }

    fn of(&self, from: IpAddr) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // A permit or a waiter holds a second reference.
        each.retain(|_, permit| Arc::strong_count(permit) > 1);
        Arc::clone(each.entry(from).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}
