//! A small HTTP server: HTTP/1.1 and, with prior knowledge, HTTP/2; all resources bounded, no request lost at a stop.
//!
//! A client may keep its connection. If the server closed it while a request is on its way, that request would fail, so a
//! connection that ends says so first: by `Connection: close` in the next answer, or by GOAWAY.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
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
/// Timeout for the head of an HTTP/1.1 request, counted from the answer before. Bounds the time for which a client that sends
/// nothing holds a connection permit.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Age from which a connection is ended. Bounds the time for which an HTTP/2 client without a request holds a permit; more than
/// any scenario of the harness takes, whose clients keep theirs.
const MAX_AGE: Duration = Duration::from_secs(120);
/// Time for which the answers of a connection announce its end before it is closed. More than a client with constant requests
/// lets pass between two of them.
const ANNOUNCEMENT: Duration = Duration::from_millis(500);
/// Time for a connection to end after its announced end.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests of one HTTP/2 client at a time.
const MAX_STREAMS: u32 = 100;
/// The first bytes of an HTTP/2 connection, and of no HTTP/1.1 request: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI";
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
        let serving = connection(stream, handler.clone(), stop.child_token());
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

/// Serves the requests of a connection until its client closes it, or until it is `closing`.
async fn connection<H, F>(stream: TcpStream, handler: H, closing: CancellationToken)
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    // With Nagle's algorithm a small response may wait for an acknowledgement. A failure only delays the response.
    let _ = stream.set_nodelay(true);
    let mut first = [0; PREFACE.len()];
    let Ok(Ok(count)) = timeout(HEAD_TIMEOUT, stream.peek(&mut first)).await else {
        return;
    };
    let service = service_fn(|request: Request<Incoming>| {
        let persists = request.version() == Version::HTTP_2;
        let (answer, closing) = (handler(request), closing.clone());
        async move {
            let mut answer = answer.await;
            if closing.is_cancelled() && !persists {
                answer
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let stream = TokioIo::new(stream);
    if first.get(..count) == Some(PREFACE) {
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .serve_connection(stream, service);
        to_its_end(serving, &closing).await;
    } else {
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .half_close(true)
            .serve_connection(stream, service);
        to_its_end(serving, &closing).await;
    }
}

/// Serves a connection. It ends some time after it is `closing`, which it is from its maximum age on.
async fn to_its_end(connection: impl GracefulConnection, closing: &CancellationToken) {
    let mut serving = pin!(connection);
    let announced = async {
        if timeout(MAX_AGE, closing.cancelled()).await.is_err() {
            closing.cancel();
        }
        sleep(ANNOUNCEMENT).await;
    };
    tokio::select! {
        // Errors are caused by the client: it closed the connection early or does not speak HTTP.
        _ = &mut serving => return,
        () = announced => serving.as_mut().graceful_shutdown(),
    }
    let _ = timeout(END_TIMEOUT, serving).await;
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
