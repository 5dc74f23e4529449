//! Holds connections while no endpoint takes them, and releases them in the order in which they came.
//!
//! One connection at a time is at the head of the queue and watches the endpoints; the others sleep. What is released counts
//! towards the [`Pace`] until its endpoint has answered.

use std::future::pending;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::connect::{ConnectError, Connected, OnFailure, Reason, connect};
use super::flow::has_closed;
use super::pace::Pace;
use crate::balance::{Lease, Outlook, ServerGroup, ServerGroups, Tried};

/// Connections that a listener holds at most; further ones fail at once.
const MAX_HELD: usize = 4096;

/// Interval at which the head of the queue looks for an endpoint.
const LOOK: Duration = Duration::from_millis(10);

/// Interval at which the head of the queue tries endpoints that nobody has proven or that failed, and has those that are
/// down checked: an endpoint that starts is noticed sooner than by its regular checks.
const TRY: Duration = Duration::from_millis(100);

/// Interval at which a held connection looks if its client has left.
const LOOK_FOR_CLIENT: Duration = Duration::from_millis(200);

/// What a connection or a request picks its endpoint from.
pub(super) trait Backend {
    fn pick(&self, client: IpAddr, tried: &Tried) -> Option<Lease>;
    fn outlook(&self) -> Outlook;
    fn recheck(&self);
}

impl Backend for Arc<ServerGroups> {
    fn pick(&self, client: IpAddr, tried: &Tried) -> Option<Lease> {
        ServerGroups::pick(self, client, tried)
    }

    fn outlook(&self) -> Outlook {
        ServerGroups::outlook(self)
    }

    fn recheck(&self) {
        ServerGroups::recheck(self);
    }
}

impl Backend for Arc<ServerGroup> {
    fn pick(&self, client: IpAddr, tried: &Tried) -> Option<Lease> {
        ServerGroup::pick(self, client, tried)
    }

    fn outlook(&self) -> Outlook {
        ServerGroup::outlook(self)
    }

    fn recheck(&self) {
        ServerGroup::recheck(self);
    }
}

/// A client that is to be connected.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    /// Its stream, if it shows whether the client has left; otherwise the connection is dropped when that happens.
    pub(super) stream: Option<&'a TcpStream>,
    pub(super) ip: IpAddr,
    /// What it has sent so far.
    pub(super) initial: &'a [u8],
    /// Whether it could have sent something, and has not.
    pub(super) silent: bool,
}

/// The queue of a listener's held connections.
#[derive(Debug)]
pub(super) struct Hold {
    held: AtomicUsize,
    /// The head of the queue has the permit; the semaphore is fair.
    head: Semaphore,
    pace: Mutex<Pace>,
    /// Wakes the head when the pace may allow it to go.
    answered: Notify,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            held: AtomicUsize::new(0),
            head: Semaphore::new(1),
            pace: Mutex::default(),
            answered: Notify::new(),
        }
    }
}

impl Hold {
    /// Connects a client to an endpoint. If none takes it, it is held for `limit` at most, and tried again.
    pub(super) async fn connect(
        self: &Arc<Self>,
        backend: &impl Backend,
        client: Client<'_>,
        limit: Duration,
        on_failure: OnFailure,
    ) -> Result<(Connected, Option<Release>), ConnectError> {
        let pick = |tried: &Tried| backend.pick(client.ip, tried);
        if limit.is_zero() {
            return Ok((connect(pick, client.initial, on_failure).await?, None));
        }
        let deadline = Instant::now() + limit;
        let mut error = ConnectError::of(Reason::NoInstance);
        // Those that came before go first.
        if self.held.load(Ordering::Relaxed) == 0 {
            error = match connect(pick, client.initial, on_failure).await {
                Ok(connected) => return Ok((connected, None)),
                Err(error) => error,
            };
        }
        let Some(_place) = Place::take(self) else {
            return Err(error);
        };
        while !matches!(error.reason, Reason::Own(_)) {
            let attempt = async {
                let release = self.released(backend, client).await;
                (connect(pick, client.initial, on_failure).await, release)
            };
            let outcome = tokio::select! {
                biased;
                () = left(client.stream) => return Err(ConnectError::of(Reason::ClientLeft)),
                outcome = timeout_at(deadline, attempt) => outcome,
            };
            match outcome {
                Ok((Ok(connected), release)) => return Ok((connected, Some(release))),
                Ok((Err(again), _)) => error = again,
                Err(_) => return Err(error),
            }
        }
        Err(error)
    }

    /// Waits until the client is the first of those that are held, an endpoint may take it, and the pace allows it.
    async fn released(self: &Arc<Self>, backend: &impl Backend, client: Client<'_>) -> Release {
        // Never closed.
        let _head = self.head.acquire().await;
        let began = Instant::now();
        let mut tried = began;
        loop {
            let due = tried.elapsed() >= TRY;
            let may_go = match backend.outlook() {
                Outlook::Good => true,
                Outlook::Poor => due,
                Outlook::None => false,
            };
            if due {
                tried = Instant::now();
                backend.recheck();
            }
            if may_go
                && !client.stream.is_some_and(has_closed)
                && let Some(release) = self.try_release(client.silent)
            {
                return release;
            }
            tokio::select! {
                () = self.answered.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    fn try_release(self: &Arc<Self>, silent: bool) -> Option<Release> {
        let number = self.pace().release(silent, Instant::now().into_std())?;
        Some(Release {
            hold: Arc::clone(self),
            number,
            answered: AtomicBool::new(false),
        })
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // A panic while the lock is held leaves no change half done.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the held connections, returned when it is dropped.
struct Place<'a>(&'a Hold);

impl<'a> Place<'a> {
    fn take(hold: &'a Hold) -> Option<Self> {
        match hold.held.fetch_add(1, Ordering::Relaxed) {
            0 => hold.pace().restart(),
            held if held >= MAX_HELD => {
                hold.held.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            _ => {}
        }
        Some(Self(hold))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that was held. It counts towards the pace until its endpoint has answered or it has ended.
#[derive(Debug)]
pub(super) struct Release {
    hold: Arc<Hold>,
    number: u64,
    answered: AtomicBool,
}

impl Release {
    /// Records that the endpoint has sent something.
    pub(super) fn answered(&self) {
        if !self.answered.swap(true, Ordering::Relaxed) {
            self.hold.pace().answered(self.number, Instant::now().into_std());
            self.hold.answered.notify_one();
        }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if !self.answered.load(Ordering::Relaxed) {
            self.hold.pace().ended(self.number);
            self.hold.answered.notify_one();
        }
    }
}

/// Waits until the client has ended its stream. One that only sends no more counts as gone as well: it cannot be told from
/// one that has left, and without holding it would have been refused.
async fn left(client: Option<&TcpStream>) {
    let Some(client) = client else {
        return pending().await;
    };
    while !has_closed(client) {
        sleep(LOOK_FOR_CLIENT).await;
    }
}
