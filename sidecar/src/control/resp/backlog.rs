//! The requests of a connection that wait while earlier answers are sent: their size counts towards a bound that all
//! connections have in common.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A connection's share of the bound, in bytes.
#[derive(Debug)]
pub(super) struct Backlog {
    bound: Arc<Semaphore>,
    share: Option<OwnedSemaphorePermit>,
}

impl Backlog {
    pub(super) fn new(bound: Arc<Semaphore>) -> Self {
        Self { bound, share: None }
    }

    /// Enlarges the share to `size`; false if the bound does not allow it.
    pub(super) fn grow(&mut self, size: usize) -> bool {
        let held = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Ok(more) = u32::try_from(size.saturating_sub(held)) else {
            return false;
        };
        let Ok(more) = Arc::clone(&self.bound).try_acquire_many_owned(more) else {
            return false;
        };
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        true
    }

    /// Gives the share back; returns whether there was one.
    pub(super) fn release(&mut self) -> bool {
        self.share.take().is_some()
    }
}
