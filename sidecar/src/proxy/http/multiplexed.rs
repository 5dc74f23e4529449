//! Connections to instances that carry many requests at a time (HTTP/2 with prior knowledge), shared by the requests of a
//! worker.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::instance::{Key, Sent, Watch, drive, stream_to};
use super::replay::RequestBody;
use crate::balance::Lease;
use crate::limits::{BUDGET, Descriptors};
use crate::proxy::shared::Shared;

/// Requests on one connection at a time at most, unless its instance allows fewer: the least that one should allow (RFC 9113,
/// section 6.5.2). Further ones get another connection.
const MAX_STREAMS: usize = 100;

/// Time for a new connection's instance to say how many requests it allows at a time, which it has to say first.
const GREETING: Duration = Duration::from_millis(100);

/// Connections to one instance at most; beyond it, requests share those that there are.
const MAX_EACH: usize = 64;

/// Time for which a connection without a request is kept. An instance that ends one says up to which request it has acted, so
/// that this may be long.
const IDLE: Duration = Duration::from_secs(30);

/// Interval at which connections that were idle for too long are closed.
const SWEEP: Duration = Duration::from_secs(5);

/// Receive window of a request in bytes, as that of a socket.
pub(super) const STREAM_WINDOW: u32 = 256 * 1024;
/// Receive window of a connection in bytes.
pub(super) const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of a request or answer that are held for a receiver which does not take them.
pub(super) const SEND_BUFFER: usize = 64 * 1024;
/// The fields of a request or answer, in bytes, at most.
pub(super) const MAX_HEAD: u32 = 32 * 1024;

thread_local! {
    /// The connections of this worker.
    static CONNECTIONS: RefCell<Connections> = RefCell::default();
}

#[derive(Default)]
struct Connections {
    by_server: BTreeMap<Key, Vec<Shareable>>,
    /// Notified when the connection that is being made to a server is made, or is not.
    opening: BTreeMap<Key, Arc<Notify>>,
    /// Whether a task closes those that are idle for too long.
    swept: bool,
}

struct Shareable {
    sender: SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
    /// Streams at a time at most.
    limit: usize,
    idle: Option<Instant>,
    _descriptors: Option<Descriptors>,
}

/// A place for one request on a connection.
pub(super) struct Stream {
    sender: SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shareable {
    fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    fn has_room(&self) -> bool {
        self.streams.load(Ordering::Relaxed) < self.limit
    }

    fn stream(&self) -> Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Stream {
            sender: self.sender.clone(),
            streams: Arc::clone(&self.streams),
        }
    }
}

/// What a request finds for its server.
enum Found {
    Stream(Stream),
    /// Another request makes a connection.
    Opening(Arc<Notify>),
    /// It makes one itself.
    Nothing,
}

/// The right to make a connection to a server; others wait for it.
pub(super) struct Opening(Key);

impl Drop for Opening {
    fn drop(&mut self) {
        let waiting = CONNECTIONS.with_borrow_mut(|connections| connections.opening.remove(&self.0));
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
    }
}

/// A place on a connection to the server of a lease, or the right to make one.
pub(super) async fn stream(listener: &Arc<Shared>, lease: &Lease) -> Result<Stream, Opening> {
    let key = Key::new(listener, lease);
    loop {
        match find(key) {
            Found::Stream(stream) => return Ok(stream),
            Found::Nothing => return Err(Opening(key)),
            Found::Opening(notify) => notify.notified().await,
        }
    }
}

fn find(key: Key) -> Found {
    CONNECTIONS.with_borrow_mut(|connections| {
        let known = connections.by_server.get_mut(&key);
        let known = known.map_or(&[][..], |known| {
            known.retain(Shareable::is_usable);
            &known[..]
        });
        if let Some(one) = known.iter().find(|one| one.has_room()) {
            return Found::Stream(one.stream());
        }
        if known.len() >= MAX_EACH
            && let Some(one) = known.iter().min_by_key(|one| one.streams.load(Ordering::Relaxed))
        {
            return Found::Stream(one.stream());
        }
        if let Some(opening) = connections.opening.get(&key) {
            return Found::Opening(Arc::clone(opening));
        }
        connections.opening.insert(key, Arc::default());
        Found::Nothing
    })
}

impl Stream {
    /// Makes an established connection one for requests, and takes the first place on it.
    pub(super) async fn open(
        listener: &Arc<Shared>,
        lease: &Lease,
        tcp: TcpStream,
    ) -> Result<Self, hyper::Error> {
        let greeted = Arc::new(Notify::new());
        let io = stream_to(lease, tcp, Watch::Greeting(Some(Arc::clone(&greeted))));
        let (sender, connection) = Builder::new(Tasks::new(lease))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MAX_HEAD)
            .handshake(io)
            .await?;
        // Without it, further requests of the same moment would be queued on this connection.
        let _ = timeout(GREETING, greeted.notified()).await;
        let limit = connection.current_max_send_streams().clamp(1, MAX_STREAMS);
        drive(listener, lease, connection);
        let one = Shareable {
            sender,
            streams: Arc::default(),
            limit,
            idle: None,
            _descriptors: BUDGET.try_relayed(1),
        };
        let stream = one.stream();
        let key = Key::new(listener, lease);
        let starts = CONNECTIONS.with_borrow_mut(|connections| {
            connections.by_server.entry(key).or_default().push(one);
            !std::mem::replace(&mut connections.swept, true)
        });
        if starts {
            tokio::spawn(sweep());
        }
        Ok(stream)
    }

    /// Sends a request, and waits for the head of the answer.
    ///
    /// # Errors
    /// With the request, if none of it was written.
    pub(super) fn send(&mut self, request: Request<RequestBody>) -> impl Future<Output = Sent> + use<> {
        self.sender.try_send_request(request)
    }
}

/// Starts the tasks of a connection. The first one is that of the connection itself, which ends when the instance goes down:
/// what carries requests would live as long as they do.
#[derive(Clone)]
struct Tasks(Arc<Mutex<Option<Down>>>);

type Down = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Tasks {
    fn new(lease: &Lease) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(lease.watch_down())))))
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let down = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match down {
            None => drop(tokio::spawn(task)),
            Some(down) => drop(tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = task => {}
                    () = down => {}
                }
            })),
        }
    }
}

/// Closes connections that are idle for too long, or that have ended, until none is left.
async fn sweep() {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = Instant::now();
        let mut closed = Vec::new();
        let done = CONNECTIONS.with_borrow_mut(|connections| {
            connections.by_server.retain(|_, known| {
                closed.extend(known.extract_if(.., |one| one.is_over(now)));
                !known.is_empty()
            });
            connections.swept = !connections.by_server.is_empty();
            !connections.swept
        });
        drop(closed);
        if done {
            return;
        }
    }
}

impl Shareable {
    fn is_over(&mut self, now: Instant) -> bool {
        if self.streams.load(Ordering::Relaxed) > 0 {
            self.idle = None;
        } else {
            self.idle.get_or_insert(now);
        }
        self.sender.is_closed() || self.idle.is_some_and(|since| now >= since + IDLE)
    }
}
