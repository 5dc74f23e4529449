//! Connections to instances that carry one request at a time (HTTP/1). Between requests they wait in their worker's pool.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use tokio::net::TcpStream;

use super::headers::keep_alive_timeout;
use super::instance::{Key, Sent, Watch, drive, stream_to};
use super::pool::Pool;
use super::replay::RequestBody;
use super::retry::is_idempotent;
use crate::balance::Lease;
use crate::limits::{BUDGET, Descriptors};
use crate::proxy::shared::Shared;

/// Time for which a connection is kept idle. Less than the 2 seconds after which servers of the shortest timeout in use
/// (gunicorn) close theirs: a request that crosses the end of its connection is lost unless it may be sent again.
const IDLE: Duration = Duration::from_millis(1500);

/// The longest time for which a connection is kept idle, if the instance says that it keeps them for longer.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// Interval at which connections that were idle for too long are closed.
const SWEEP: Duration = Duration::from_millis(500);

/// Buffers of a connection, in bytes, at most.
const MAX_BUFFER: usize = 128 * 1024;

thread_local! {
    /// The idle connections of this worker.
    static IDLE_CONNECTIONS: RefCell<Idle> = RefCell::default();
}

#[derive(Default)]
struct Idle {
    pool: Pool<Key, Exclusive>,
    /// Whether a task closes those that are idle for too long.
    swept: bool,
}

/// A connection to an instance that carries one request at a time.
pub(super) struct Exclusive {
    sender: SendRequest<RequestBody>,
    /// Has the instance's end of the connection looked for before the next request is written.
    needs_end: Arc<AtomicBool>,
    key: Key,
    idle: Duration,
    /// Its own; without them it is its client's, and is not kept.
    descriptors: Option<Descriptors>,
}

impl Exclusive {
    /// Takes an idle connection to the server of a lease.
    pub(super) fn reuse(listener: &Arc<Shared>, lease: &Lease) -> Option<Self> {
        let key = Key::new(listener, lease);
        let now = Instant::now();
        IDLE_CONNECTIONS.with_borrow_mut(|idle| {
            while let Some(instance) = idle.pool.take(&key, now) {
                if instance.sender.is_ready() {
                    return Some(instance);
                }
            }
            None
        })
    }

    /// Makes an established connection one for requests.
    pub(super) async fn open(
        listener: &Arc<Shared>,
        lease: &Lease,
        tcp: TcpStream,
    ) -> Result<Self, hyper::Error> {
        let needs_end = Arc::new(AtomicBool::new(false));
        let io = stream_to(lease, tcp, Watch::End(Arc::clone(&needs_end)));
        let (sender, connection) = Builder::new().max_buf_size(MAX_BUFFER).handshake(io).await?;
        drive(listener, lease, connection.with_upgrades());
        Ok(Self {
            sender,
            needs_end,
            key: Key::new(listener, lease),
            idle: IDLE,
            descriptors: BUDGET.try_relayed(1),
        })
    }

    /// Sends a request, and waits for the head of the answer.
    ///
    /// # Errors
    /// With the request, if none of it was written.
    pub(super) fn send(&mut self, request: Request<RequestBody>) -> impl Future<Output = Sent> + use<> {
        if !is_idempotent(request.method()) {
            // Once written, it is not sent again.
            self.needs_end.store(true, Ordering::Relaxed);
        }
        self.sender.try_send_request(request)
    }

    /// Reads in the head of an answer for how long the connection may be idle.
    pub(super) fn answered(&mut self, answer: &Response<Incoming>) {
        if let Some(seconds) = keep_alive_timeout(answer.headers()) {
            // An instance counts from when it sent the answer, which is earlier, and may round down.
            let kept = Duration::from_secs(seconds.saturating_sub(1)).min(MAX_IDLE);
            self.idle = kept.max(Duration::from_millis(250));
        }
    }

    /// Keeps it for the next request, if it may carry one.
    pub(super) fn put_back(self) {
        if self.descriptors.is_none() || !self.sender.is_ready() {
            return;
        }
        let until = Instant::now() + self.idle;
        let starts = IDLE_CONNECTIONS.with_borrow_mut(|idle| {
            // One too many is dropped.
            let kept = idle.pool.put(self.key, self, until).is_ok();
            kept && !std::mem::replace(&mut idle.swept, true)
        });
        if starts {
            tokio::spawn(sweep());
        }
    }
}

/// Closes connections that are idle for too long, or that have ended, until none is left.
async fn sweep() {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = Instant::now();
        let (expired, done) = IDLE_CONNECTIONS.with_borrow_mut(|idle| {
            let expired = idle.pool.expire(now, |instance| instance.sender.is_closed());
            idle.swept = !idle.pool.is_empty();
            (expired, !idle.swept)
        });
        drop(expired);
        if done {
            return;
        }
    }
}
