//! Limits how many large bodies are read at once: parsing one takes several times its size in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this size, in bytes, bypass the limiter. Those of a mesh of a few dozen nodes do.
pub(super) const SMALL: u64 = 16 * 1024;
/// Large bodies read at once; each address has at most one of them.
const AT_ONCE: usize = 3;

/// A semaphore for large bodies.
#[derive(Debug)]
pub(super) struct LargeBodies {
    all: Arc<Semaphore>,
    /// One single-permit semaphore for each address that holds a permit or waits for one.
    each: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// The permit to hold one large body, released when dropped.
#[derive(Debug)]
pub(super) struct Permit {
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

    /// Waits for the permit for a body from an address. None if the semaphore is closed.
    pub(super) async fn permit(&self, from: IpAddr) -> Option<Permit> {
        let each = self.permit_of(from);
        // The address's own permit comes first: an address that sends many bodies must not occupy the shared queue.
        let each = each.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Permit {
            _all: all,
            _each: each,
        })
    }

    fn permit_of(&self, from: IpAddr) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // A permit or a waiter holds a second reference.
        each.retain(|_, permit| Arc::strong_count(permit) > 1);
        Arc::clone(each.entry(from).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}
