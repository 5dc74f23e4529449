//! The HTTP/1.1 server of the sidecar's own endpoints: controller, status listener and discovery exchanges. Bounds the
//! connections, times and sizes of its clients.

mod host;
mod permits;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use host::{HostCheck, HostError, HostName, NotHostName};
use permits::{ConnectionPermit, ConnectionPermits};

use crate::limits::{BUDGET, Descriptors};
use crate::lingering_close::lingering_close;
use crate::serve::{self, Serve};

/// The time for which an idle connection is kept, as clients are told with each answer.
const IDLE_SECONDS: u64 = 10;
/// Timeout for a request's head, on a new connection as well as after an answer. Longer than clients are told, so that
/// a request that is on its way then arrives.
const HEADER_TIMEOUT: Duration = Duration::from_secs(IDLE_SECONDS + 2);
/// Timeout for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A response with a complete body.
pub type Answer = Response<Full<Bytes>>;

/// Why a request's body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Larger than the limit.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// It did not arrive before the timeout, or the client disconnected.
    #[error("the request body did not arrive")]
    Incomplete,
}

/// Limits of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of connections. At the limit, one is closed to make room for the next: the one that is idle the
    /// longest, or if each has a request, the least recently active one. Default 128.
    pub connections: usize,
    /// Maximum number of connections per client address. At the limit, one of that address is closed. Less than
    /// `connections`, so that one address cannot evict all others. Default 64.
    pub connections_each: usize,
    /// Whether answers say how long an idle connection is kept. Default true.
    pub announce_idle: bool,
    /// Timeout for requests in flight when the server stops. Default 1 s.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            connections_each: 64,
            announce_idle: true,
            stop: Duration::from_secs(1),
        }
    }
}

/// Serves a listener with the default limits and [`HostCheck`] until the token is cancelled, then finishes the requests
/// in flight.
pub async fn serve<H, F>(listener: TcpListener, handler: H, stop: CancellationToken)
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    serve_within(
        Limits::default(),
        HostCheck::default(),
        listener,
        move |_, request| handler(request),
        stop,
    )
    .await;
}

/// As [`serve()`], with other limits and hosts; the handler also gets the client's address.
pub async fn serve_within<H, F>(
    limits: Limits,
    hosts: HostCheck,
    listener: TcpListener,
    handler: H,
    stop: CancellationToken,
) where
    H: Fn(IpAddr, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let server = Server {
        handler: Arc::new(handler),
        hosts,
        permits: ConnectionPermits::new(limits.connections, limits.connections_each),
        announce_idle: limits.announce_idle,
        stop: stop.clone(),
        abort: CancellationToken::new(),
    };
    let connections = TaskTracker::new();
    serve::serve(&listener, &server, &connections, &stop).await;
    if !serve::drained(&connections, limits.stop).await {
        server.abort.cancel();
        connections.wait().await;
    }
}

struct Server<H> {
    handler: Arc<H>,
    hosts: HostCheck,
    permits: Arc<ConnectionPermits>,
    announce_idle: bool,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl<H, F> Serve for Server<H>
where
    H: Fn(IpAddr, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    type Permit = ();

    async fn permit(&self) {}

    /// If no descriptor is left, a connection is closed to make room, as at the limit.
    async fn descriptors(&self) -> Descriptors {
        if let Some(descriptors) = BUDGET.try_inbound() {
            return descriptors;
        }
        self.permits.evict();
        BUDGET.inbound().await
    }

    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        ((), descriptors): ((), Descriptors),
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let from = peer.ip();
        let Some(permit) = self.permits.take(from, self.abort.child_token()) else {
            tracing::debug!(%from, "too many HTTP connections from this address");
            return None;
        };
        let connection = Connection {
            from,
            permit: Arc::new(permit),
            handler: Arc::clone(&self.handler),
            hosts: self.hosts.clone(),
            announce_idle: self.announce_idle,
            begun: AtomicBool::new(false),
            stop: self.stop.clone(),
        };
        Some(async move {
            let abort = connection.permit.abort.clone();
            abort.run_until_cancelled(connection.serve(stream)).await;
            drop(descriptors);
        })
    }
}

/// One client's connection.
struct Connection<H> {
    from: IpAddr,
    permit: Arc<ConnectionPermit>,
    handler: Arc<H>,
    hosts: HostCheck,
    announce_idle: bool,
    /// Whether it has had a request.
    begun: AtomicBool,
    stop: CancellationToken,
}

impl<H, F> Connection<H>
where
    H: Fn(IpAddr, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    async fn serve(self, stream: TcpStream) {
        let from = self.from;
        let stop = self.stop.clone();
        let mut stop_seen = false;
        let this = &self;
        let service =
            service_fn(|request| Box::pin(async move { Ok::<_, Infallible>(this.answer(request).await) }));
        let mut connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(16 * 1024)
            // A client that shuts down its sending side after the request still gets the answer.
            .half_close(true)
            // As the original's answers do, on which hand-written clients may depend.
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut stopping = pin!(stop.cancelled());
        let outcome = poll_fn(|cx| {
            let polled = connection.poll_without_shutdown(cx);
            // Not before the first request: a client that has just connected still gets its answer.
            let closes = polled.is_pending() && !stop_seen && this.has_begun();
            if closes && stopping.as_mut().poll(cx).is_ready() {
                stop_seen = true;
                Pin::new(&mut connection).graceful_shutdown();
                return connection.poll_without_shutdown(cx);
            }
            polled
        })
        .await;
        if let Err(error) = outcome {
            tracing::debug!(%from, %error, "an HTTP connection failed");
        }
        // The last answer reaches a client that is still sending a body that was refused.
        let mut stream = connection.into_parts().io.into_inner();
        let closing = stop.run_until_cancelled(lingering_close(&mut stream, &[]));
        // Errors do not matter: the connection is closed anyway.
        let _ = closing.await;
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.begun.store(true, Ordering::Relaxed);
        self.permit.set_busy(true);
        let keeps = self.announce_idle && is_kept(&request);
        let mut answer = match self.hosts.check(&request) {
            Ok(()) => (self.handler)(self.from, request).await,
            Err(error) => {
                tracing::debug!(from = %self.from, %error, "an HTTP request was refused");
                text(error.status(), format!("{error}\n"))
            }
        };
        if keeps && !self.stop.is_cancelled() && !answer.headers().contains_key(CONNECTION) {
            let headers = answer.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
            headers.insert(KEEP_ALIVE, keep_alive());
        }
        self.permit.set_busy(false);
        answer
    }
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

fn keep_alive() -> HeaderValue {
    HeaderValue::try_from(format!("timeout={IDLE_SECONDS}")).unwrap_or(HeaderValue::from_static(""))
}

/// Whether the client keeps the connection after the answer (RFC 9112, section 9.3).
fn is_kept(request: &Request<Incoming>) -> bool {
    let says = |option: &str| {
        let values = request.headers().get_all(CONNECTION).iter();
        let mut options = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        options.any(|found| found.trim().eq_ignore_ascii_case(option))
    };
    match request.version() {
        Version::HTTP_10 => says("keep-alive"),
        _ => !says("close"),
    }
}

/// Reads a request's body, up to `max` bytes.
///
/// # Errors
/// When it is larger, or does not arrive before the timeout.
pub async fn body(request: Request<Incoming>, max: usize) -> Result<Bytes, BodyError> {
    // Before a client that waits for `100 Continue` sends it.
    if request.body().size_hint().lower() > max as u64 {
        return Err(BodyError::TooLarge(max));
    }
    let collect = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collect).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(BodyError::TooLarge(max)),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}

/// A response with a body of the given content type, and the headers that its status requires (RFC 9110, section 15).
#[must_use]
pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    match status {
        // The rest of the request is not read.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Each reason for it passes soon.
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    answer
}

/// Adds to an answer the methods that the path supports (RFC 9110, section 15.5.6).
#[must_use]
pub fn method_not_allowed(allowed: &'static str, mut answer: Answer) -> Answer {
    *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// A response in JSON.
#[must_use]
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => answer(status, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// A response in plain text.
#[must_use]
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", body)
}

/// A response without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}
