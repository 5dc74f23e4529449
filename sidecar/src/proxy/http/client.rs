//! Serves one client's connection: waits for requests, hands each to [`forward`], and ends the connection.
//!
//! hyper holds two buffers for a connection. Between requests a connection is parked after a while: hyper's part of it is
//! dropped, and made again when the client sends something.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::clock::{Clock, Due, Look};
use super::http2;
use super::named;
use super::source::Source;
use super::stream::{Meter, Stream};
use super::upgrade::Upgrade;
use crate::balance::{Direction, Protocol};
use crate::lingering_close::lingering_close;
use crate::proxy::connection::Connection;

/// Buffers of a connection, in bytes, at most.
const MAX_BUFFER: usize = 64 * 1024;

/// The head of a request, in bytes, at most; a larger one is answered with 431.
const MAX_HEAD: usize = 32 * 1024;

/// Time for a new connection to send its first request although its listener stops.
const FRESH: Duration = Duration::from_secs(1);

/// The answer to a request whose head did not arrive in time.
const HEAD_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\nx-sidecar-error: head-timeout\r\n\r\n";

/// A client's connection, shared by its requests.
pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) source: Source,
    /// Requests that have not ended.
    active: AtomicUsize,
    /// Whether bytes have moved since the clock's last look.
    moved: AtomicBool,
    /// Whether bytes were read that belong to no request yet.
    head: AtomicBool,
    /// Whether everything that hyper had to write is written.
    flushed: AtomicBool,
    /// Whether the client has ended its stream.
    ended: AtomicBool,
    /// Whether the connection ends with a reset.
    aborted: AtomicBool,
    /// The connection to an instance that takes the place of the requests.
    upgrade: Mutex<Option<Upgrade>>,
}

/// The first bytes of an HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Time for the first bytes to show whether they are these.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes read at most to see which version a connection is of; a usual head fits.
const FIRST_READ: usize = 4 * 1024;

/// Why hyper no longer has a connection.
enum Pause {
    /// It has ended.
    Ended,
    /// Its client may begin another request later.
    Parked,
    /// The head of a request took too long.
    HeadTimeout,
    Idle,
    Aborted,
}

/// Serves the requests of a connection until it ends.
pub(in crate::proxy) async fn serve(
    mut tcp: TcpStream,
    mut unread: Bytes,
    connection: Connection,
    source: Source,
    protocol: Protocol,
) {
    let drain = connection.draining();
    let mut clock = Clock::start(connection.idle_timeout(), Instant::now());
    let client = Arc::new(Client::new(connection, source));
    let mut fresh = Instant::now() + FRESH;
    let mut is_http2 = None;
    let pause = loop {
        if unread.is_empty() {
            match client.readable(&tcp, &clock, &drain, fresh).await {
                Pause::Parked => {}
                other => break other,
            }
        }
        fresh = Instant::now();
        if is_http2.is_none() {
            let detected = pin!(detect(protocol, &tcp, &mut unread));
            match client.connection.unless_aborted(detected).await {
                Some(None) => continue,
                Some(detected) => is_http2 = detected,
                None => break Pause::Aborted,
            }
        }
        if is_http2 == Some(true) {
            return Box::pin(http2::serve(&client, tcp, unread, &mut clock, &drain)).await;
        }
        client.head.store(!unread.is_empty(), Ordering::Relaxed);
        // Boxed, so that a parked connection does not hold its memory.
        let served = Box::pin(client.serve_http1(tcp, unread, &mut clock)).await;
        let Some((stream, rest, pause)) = served else {
            return;
        };
        (tcp, unread) = (stream, rest);
        match pause {
            Pause::Parked if drain.is_cancelled() => break Pause::Idle,
            Pause::Parked => {}
            other => break other,
        }
    };
    match pause {
        // On failure the connection has already ended.
        Pause::Aborted => drop(tcp.set_zero_linger()),
        Pause::HeadTimeout => {
            // Errors do not matter: the connection is closed anyway.
            let _ = lingering_close(&mut tcp, HEAD_TIMEOUT).await;
        }
        Pause::Ended => {
            let upgrade = client
                .upgrade
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(upgrade) = upgrade {
                if let Some(client) = Arc::into_inner(client) {
                    Box::pin(upgrade.relay(tcp, unread, client.connection)).await;
                }
                return;
            }
            if !client.ended.load(Ordering::Relaxed) {
                // The client may still send, and would not get the end of its answer after a reset.
                let closing = pin!(lingering_close(&mut tcp, &[]));
                let _ = client.connection.unless_aborted(closing).await;
            }
        }
        Pause::Parked | Pause::Idle => {}
    }
}

/// Whether a connection is one of HTTP/2, by its first bytes if the protocol does not say it. `None` if it has none yet.
async fn detect(protocol: Protocol, tcp: &TcpStream, unread: &mut Bytes) -> Option<bool> {
    match protocol {
        Protocol::Http1 => return Some(false),
        Protocol::H2 => return Some(true),
        Protocol::Http | Protocol::Tcp => {}
    }
    while PREFACE.starts_with(unread) && unread.len() < PREFACE.len() {
        match read_first(tcp, unread) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if unread.is_empty() {
                    return None;
                }
                if timeout(PREFACE_TIMEOUT, tcp.readable()).await.is_err() {
                    break;
                }
            }
            // hyper finds it again.
            Ok(_) | Err(_) => break,
        }
    }
    Some(unread.starts_with(PREFACE))
}

/// Reads what has arrived. The buffer is on the stack: in a future, each idle connection would hold it.
fn read_first(tcp: &TcpStream, unread: &mut Bytes) -> io::Result<usize> {
    let mut buffer = [0; FIRST_READ];
    let count = tcp.try_read(&mut buffer)?;
    *unread = [unread, &buffer[..count]].concat().into();
    Ok(count)
}

impl Client {
    fn new(connection: Connection, source: Source) -> Self {
        Self {
            connection,
            source,
            active: AtomicUsize::new(0),
            moved: AtomicBool::new(false),
            head: AtomicBool::new(false),
            flushed: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            upgrade: Mutex::default(),
        }
    }

    /// Counts a request that begins.
    pub(super) fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.head.store(false, Ordering::Relaxed);
    }

    /// Counts a request that has ended.
    pub(super) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Has the connection become one of bytes after the answer.
    pub(super) fn upgrade(&self, upgrade: Upgrade) {
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }

    /// Has the connection end with a reset.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Looks at it for its clock.
    pub(super) fn look(&self) -> Look {
        Look {
            moved: self.moved.swap(false, Ordering::Relaxed),
            busy: self.active.load(Ordering::Relaxed) > 0 || !self.flushed.load(Ordering::Relaxed),
            head: self.head.load(Ordering::Relaxed),
        }
    }

    /// Waits until the client sends something. One that is connected since shortly before `fresh` still has time to do so
    /// when the listener stops.
    async fn readable(
        &self,
        tcp: &TcpStream,
        clock: &Clock,
        drain: &CancellationToken,
        fresh: Instant,
    ) -> Pause {
        let drained = async {
            drain.cancelled().await;
            sleep_until(fresh.into()).await;
        };
        let readable = async {
            match clock.left(Instant::now()) {
                Some(left) => timeout(left, tcp.readable()).await.is_ok(),
                None => {
                    // An error is reported again by the next read.
                    let _ = tcp.readable().await;
                    true
                }
            }
        };
        let readable = pin!(async {
            tokio::select! {
                biased;
                readable = readable => if readable { Pause::Parked } else { Pause::Idle },
                () = drained => Pause::Idle,
            }
        });
        self.connection
            .unless_aborted(readable)
            .await
            .unwrap_or(Pause::Aborted)
    }

    /// Has hyper serve the connection until it ends or can be parked.
    async fn serve_http1(
        self: &Arc<Self>,
        tcp: TcpStream,
        unread: Bytes,
        clock: &mut Clock,
    ) -> Option<(TcpStream, Bytes, Pause)> {
        let service = service_fn(|request| named::serve(Arc::clone(self), request));
        let stream = Stream::new(tcp, unread, ToClient(Arc::clone(self)));
        let mut http = http1::Builder::new()
            // The clock bounds the time of a head.
            .header_read_timeout(None)
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let mut look = pin!(sleep(clock.tick()));
        let pause = {
            let serving = pin!(poll_fn(|cx| {
                if let Poll::Ready(outcome) = Pin::new(&mut http).poll(cx) {
                    if let Err(error) = outcome {
                        tracing::debug!(peer = %self.connection.peer(), %error, "an HTTP connection failed");
                    }
                    return Poll::Ready(Pause::Ended);
                }
                while look.as_mut().poll(cx).is_ready() {
                    match clock.due(self.look(), Instant::now()) {
                        Due::Nothing => look.as_mut().reset(tokio::time::Instant::now() + clock.tick()),
                        Due::Park => return Poll::Ready(Pause::Parked),
                        Due::HeadTimeout => return Poll::Ready(Pause::HeadTimeout),
                        Due::End => return Poll::Ready(Pause::Idle),
                    }
                }
                Poll::Pending
            }));
            self.connection.unless_aborted(serving).await
        };
        let pause = pause.unwrap_or(Pause::Aborted);
        let parts = http.into_parts();
        let (tcp, mut unread) = parts.io.into_inner().take()?;
        if !parts.read_buf.is_empty() {
            unread = [parts.read_buf, unread].concat().into();
        }
        Some((tcp, unread, pause))
    }
}

/// Counts the bytes of a client.
pub(super) struct ToClient(pub(super) Arc<Client>);

impl Meter for ToClient {
    fn read(&mut self, bytes: usize) {
        let client = &self.0;
        if bytes == 0 {
            client.ended.store(true, Ordering::Relaxed);
            return;
        }
        client.moved.store(true, Ordering::Relaxed);
        if client.active.load(Ordering::Relaxed) == 0 {
            client.head.store(true, Ordering::Relaxed);
        }
        client.connection.moved(Direction::ToInstance, bytes as u64);
    }

    fn written(&self, bytes: usize) {
        self.0.moved.store(true, Ordering::Relaxed);
        self.0.flushed.store(false, Ordering::Relaxed);
        self.0.connection.moved(Direction::ToClient, bytes as u64);
    }

    fn resets(&self) -> bool {
        self.0.aborted.load(Ordering::Relaxed)
    }

    fn flushed(&self) {
        self.0.flushed.store(true, Ordering::Relaxed);
    }
}
