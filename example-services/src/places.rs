//! Places for connections: a bounded number of them. Where all are taken, the connection that has been idle the
//! longest loses its own, so that clients which connect and ask for nothing cannot keep the others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a connection may be idle in any case: the time that an honest client's request may be on its way.
const SPARED: Duration = Duration::from_millis(250);

/// All places of a server. One task hands them out.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    idle: Arc<IdleConnections>,
    next: u64,
}

/// Connections that have asked for nothing yet, in the order in which they came.
#[derive(Default)]
struct IdleConnections(Mutex<BTreeMap<u64, Idle>>);

struct Idle {
    spared_until: Instant,
    cut: CancellationToken,
}

/// A connection's place, free again when this is dropped.
pub(crate) struct Place {
    number: u64,
    idle: Arc<IdleConnections>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Places {
            free: Arc::new(Semaphore::new(count)),
            idle: Arc::default(),
            next: 0,
        }
    }

    /// Waits for room for one connection more, and makes it where an idle one can go.
    pub(crate) async fn room(&self) -> OwnedSemaphorePermit {
        tokio::select! {
            biased;
            permit = self.permit() => return permit,
            () = self.cut_longest_idle() => {}
        }
        // The one that was cut gives it back.
        self.permit().await
    }

    /// Room for one connection more, if there is any.
    pub(crate) fn try_room(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Gives a new connection its place. It must end soon after `cut` is cancelled.
    pub(crate) fn take(&mut self, room: OwnedSemaphorePermit, cut: CancellationToken) -> Place {
        let number = self.next;
        self.next += 1;
        let spared_until = Instant::now() + SPARED;
        self.idle.lock().insert(number, Idle { spared_until, cut });
        Place {
            number,
            idle: Arc::clone(&self.idle),
            _permit: room,
        }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        match self.free.clone().acquire_owned().await {
            Ok(permit) => permit,
            // Never: nobody closes the semaphore.
            Err(_) => std::future::pending().await,
        }
    }

    async fn cut_longest_idle(&self) {
        loop {
            let spared_until = match self.idle.lock().first_entry() {
                Some(longest) if longest.get().spared_until <= Instant::now() => {
                    return longest.remove().cut.cancel();
                }
                Some(longest) => longest.get().spared_until,
                None => break,
            };
            sleep_until(spared_until).await;
        }
        // A busy connection does not become idle, and who waits here takes in no new one.
        std::future::pending::<()>().await;
    }
}

impl Place {
    /// Marks the connection as one that has asked for something: it keeps its place.
    pub(crate) fn busy(&self) {
        self.idle.lock().remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy();
    }
}

impl IdleConnections {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Idle>> {
        // Whole after every change, so also after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A connection that ends when it is cut.
    async fn connect(places: &mut Places, busy: bool) -> CancellationToken {
        let room = places.room().await;
        let cut = CancellationToken::new();
        let place = places.take(room, cut.clone());
        if busy {
            place.busy();
        }
        let cut_off = cut.clone();
        tokio::spawn(async move {
            cut_off.cancelled().await;
            drop(place);
        });
        cut
    }

    #[tokio::test]
    async fn the_longest_idle_connection_makes_room_and_no_other() {
        let mut places = Places::new(3);
        let busy = connect(&mut places, true).await;
        let first = connect(&mut places, false).await;
        let second = connect(&mut places, false).await;
        let third = timeout(Duration::from_secs(20), connect(&mut places, false)).await;
        assert!(third.is_ok(), "no idle connection makes room");
        let cut = [&busy, &first, &second].map(CancellationToken::is_cancelled);
        assert_eq!(cut, [false, true, false]);
    }

    #[tokio::test]
    async fn busy_connections_keep_their_places() {
        let mut places = Places::new(2);
        let first = connect(&mut places, true).await;
        let second = connect(&mut places, true).await;
        let third = timeout(SPARED * 2, places.room()).await;
        assert!(third.is_err(), "there is room beside two busy connections");
        assert!(!first.is_cancelled() && !second.is_cancelled());
        first.cancel();
        let third = timeout(Duration::from_secs(20), places.room()).await;
        assert!(third.is_ok(), "no room after a connection has ended");
    }
}
