//! How the holders of connections to a server hear that it is lost.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use tokio::sync::Notify;

/// How often a server was lost, and who waits for the next time.
#[derive(Debug, Default)]
pub(super) struct DownSignal {
    count: AtomicU64,
    told: Notify,
}

impl DownSignal {
    /// How often it was lost so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Says that it is lost.
    pub(super) fn tell(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.told.notify_waiters();
    }

    /// Waits until it is lost more often than `seen`. A task that waits while its bytes flow takes the lock
    /// that all waiters share only once; polled again, it just looks at the count.
    pub(super) async fn beyond(&self, seen: u64) {
        // Made before the count is looked at, so that no loss falls in between.
        let mut told = pin!(self.told.notified());
        let mut waiting: Option<Waker> = None;
        poll_fn(|cx| {
            if self.count() != seen {
                return Poll::Ready(());
            }
            if waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            waiting = Some(cx.waker().clone());
            told.as_mut().poll(cx)
        })
        .await;
    }
}
