//! A small HTTP server: one request per connection, all resources bounded, no request lost at a stop.
//!
//! Keep-alive is off for two reasons. The mesh balances connections, not requests: a client with a persistent
//! connection would always reach the same instance. And when a server closes an idle connection, a request that the
//! client is sending on it fails, so that every stop would fail requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Maximum number of concurrent connections; further ones wait in the kernel's queue. At two descriptors each, they
/// stay below the usual limit of 1024.
const MAX_CONNECTIONS: usize = 400;
/// Timeout for a request's head. Bounds the time for which a client that sends nothing holds a connection permit.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for a whole connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for which a stopping server still accepts the connections in the kernel's queue.
const DRAIN_QUEUE: Duration = Duration::from_millis(10);
/// Pause after a failed accept, so that a shortage of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then accepts no more connections and lets open ones finish for at most `grace`.
pub(crate) async fn serve<H, F>(listener: TcpListener, stop: CancellationToken, grace: Duration, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    let start = |permit, stream| {
        let serving = connection(stream, handler.clone());
        let abort = abort.clone();
        connections.spawn(async move {
            abort.run_until_cancelled(serving).await;
            drop(permit);
        });
    };

    let accepting = async {
        let mut failing = false;
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    failing = false;
                    start(permit, stream);
                }
                Err(error) => {
                    // Once, not at every attempt.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!("cannot accept a connection: {error}");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;

    let drained = Instant::now() + DRAIN_QUEUE;
    while let Ok(permit) = Arc::clone(&permits).try_acquire_owned()
        && let Ok(Ok((stream, _))) = timeout_at(drained, listener.accept()).await
    {
        start(permit, stream);
    }
    drop(listener);
    connections.close();
    if timeout(grace, connections.wait()).await.is_err() {
        abort.cancel();
        connections.wait().await;
    }
}

async fn connection<H, F>(stream: TcpStream, handler: H)
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    // With Nagle's algorithm a small response may wait for an acknowledgement. A failure only delays the response.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| {
                let answer = handler(request);
                async { Ok::<_, Infallible>(answer.await) }
            }),
        );
    // Errors are caused by the client: it closed the connection early or does not speak HTTP.
    let _ = timeout(CONNECTION_TIMEOUT, serving).await;
}

/// A response with `value` as JSON and a line break.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            with_body(status, "application/json", body.into())
        }
        Err(error) => with_body(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            error.to_string().into(),
        ),
    }
}

/// A response with `body` of type `content_type`.
pub(crate) fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // An instance may be back at any moment.
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The response to methods other than GET and HEAD.
pub(crate) fn method_not_allowed() -> Response<Full<Bytes>> {
    let mut response = json(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({"error": "only GET and HEAD"}),
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
