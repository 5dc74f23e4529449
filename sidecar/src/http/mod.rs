//! The HTTP/1.1 server of the sidecar's own endpoints: controller, status listener and discovery exchanges. Bounds the
//! connections, times and sizes of its clients.

mod permits;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use permits::{ConnectionPermit, ConnectionPermits};

use crate::serve::{self, Serve};

/// Timeout for a request's head, on a new connection as well as after an answer.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
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
    /// Maximum number of connections. At the limit, the least recently active one is closed to make room for the
    /// next. Default 128.
    pub connections: usize,
    /// Maximum number of connections per client address. At the limit, the address's least recently active connection
    /// is closed. Less than `connections`, so that one address cannot evict all others. Default 64.
    pub connections_each: usize,
    /// Timeout for requests in flight when the server stops. Default 1 s.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            connections_each: 64,
            stop: Duration::from_secs(1),
        }
    }
}

/// Serves a listener with the default limits until the token is cancelled, then finishes the requests in flight.
pub async fn serve<H, F>(listener: TcpListener, handler: H, stop: CancellationToken)
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    serve_within(
        Limits::default(),
        listener,
        move |_, request| handler(request),
        stop,
    )
    .await;
}

/// As [`serve()`], with other limits; the handler also gets the client's address.
pub async fn serve_within<H, F>(limits: Limits, listener: TcpListener, handler: H, stop: CancellationToken)
where
    H: Fn(IpAddr, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let server = Server {
        handler: Arc::new(handler),
        permits: ConnectionPermits::new(limits.connections, limits.connections_each),
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
    permits: Arc<ConnectionPermits>,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl<H, F> Serve for Server<H>
where
    H: Fn(IpAddr, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let from = peer.ip();
        let Some(permit) = self.permits.take(from, self.abort.child_token()) else {
            tracing::debug!(%from, "too many HTTP connections from this address");
            return None;
        };
        let (handler, stop, abort) = (Arc::clone(&self.handler), self.stop.clone(), permit.abort.clone());
        Some(async move {
            abort
                .run_until_cancelled(connection(stream, from, Arc::new(permit), handler, stop))
                .await;
        })
    }
}

async fn connection<H, F>(
    stream: TcpStream,
    from: IpAddr,
    permit: Arc<ConnectionPermit>,
    handler: Arc<H>,
    stop: CancellationToken,
) where
    H: Fn(IpAddr, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let service = service_fn(move |request| {
        let (handler, permit) = (Arc::clone(&handler), Arc::clone(&permit));
        async move {
            permit.refresh();
            let answer = handler(from, request).await;
            permit.refresh();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 * 1024)
        // A client that shuts down its sending side after the request still gets the answer.
        .half_close(true)
        // As the original's answers do, on which hand-written clients may depend.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%from, %error, "an HTTP connection failed");
    }
}

/// Reads a request's body, up to `max` bytes.
///
/// # Errors
/// When it is larger, or does not arrive before the timeout.
pub async fn body(request: Request<Incoming>, max: usize) -> Result<Bytes, BodyError> {
    let collect = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collect).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(BodyError::TooLarge(max)),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}

/// A response with a body of the given content type.
#[must_use]
pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
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
