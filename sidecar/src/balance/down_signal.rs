//! Notifies the holders of connections to a server when it goes down.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use tokio::sync::Notify;

/// Counts how often a server went down, and wakes the tasks that wait for the next time.
#[derive(Debug, Default)]
pub(super) struct DownSignal {
    count: AtomicU64,
    notify: Notify,
}

impl DownSignal {
    /// Number of times that the server has gone down.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Signals that the server is down.
    pub(super) fn send(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Waits until the count differs from `seen`. A task that polls this often, because bytes flow on its connection, takes
    /// the lock shared by all waiters only once: later polls only read the count.
    pub(super) async fn after(&self, seen: u64) {
        // Created before the count is read, so that no signal is missed in between.
        let mut notified = pin!(self.notify.notified());
        let mut registered: Option<Waker> = None;
        poll_fn(|cx| {
            if self.count() != seen {
                return Poll::Ready(());
            }
            if registered
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                return Poll::Pending;
            }
            registered = Some(cx.waker().clone());
            notified.as_mut().poll(cx)
        })
        .await;
    }
}
