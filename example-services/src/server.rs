//! A small HTTP server: one request a connection, everything bounded, a stop that loses nothing.
//!
//! A connection takes one request only. Balancing in the mesh is by connection, so a client that kept one
//! would stay with one instance; and a server that closes an idle kept connection races with the next
//! request on it, which would fail requests at every stop.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::places::{Place, Places};

/// Connections at a time; more wait in the kernel's queue. Two descriptors each stay below the usual 1024.
const MAX_CONNECTIONS: usize = 400;
/// How long a client may take to send a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may last, whatever its client does.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
/// How long a stopping server still takes the connections that wait in the kernel's queue.
const LAST_CALL: Duration = Duration::from_millis(10);
/// The pause after a failed accept, so that a shortage of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then takes no more connections and lets those it has finish for at most `grace`.
pub(crate) async fn serve<H, F>(listener: TcpListener, stop: CancellationToken, grace: Duration, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut places = Places::new(MAX_CONNECTIONS);
    let start = |places: &mut Places, room, stream: TcpStream| {
        let cut = cut.child_token();
        let place = places.take(room, cut.clone());
        connections.spawn(cut.run_until_cancelled_owned(connection(stream, place, handler.clone())));
    };

    let accepting = async {
        loop {
            let room = places.room().await;
            match listener.accept().await {
                Ok((stream, _)) => start(&mut places, room, stream),
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;

    let last_call = Instant::now() + LAST_CALL;
    while let Some(room) = places.try_room()
        && let Ok(Ok((stream, _))) = timeout_at(last_call, listener.accept()).await
    {
        start(&mut places, room, stream);
    }
    drop(listener);
    connections.close();
    if timeout(grace, connections.wait()).await.is_err() {
        cut.cancel();
        connections.wait().await;
    }
}

async fn connection<H, F>(stream: TcpStream, place: Place, handler: H)
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    // Without it a small answer may wait for an acknowledgement; where it cannot be had, it only takes longer.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| {
                place.busy();
                let answer = handler(request);
                async { Ok::<_, Infallible>(answer.await) }
            }),
        );
    // A client that breaks off or talks something else than HTTP concerns nobody but itself.
    let _ = timeout(CONNECTION_LIMIT, serving).await;
}

/// An answer whose body is `value` as JSON and a line end.
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

/// An answer with a body of that content type.
pub(crate) fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The answer to a method other than GET and HEAD.
pub(crate) fn method_not_allowed() -> Response<Full<Bytes>> {
    let mut response = json(
        StatusCode::METHOD_NOT_ALLOWED,
        &serde_json::json!({"error": "only GET and HEAD"}),
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
