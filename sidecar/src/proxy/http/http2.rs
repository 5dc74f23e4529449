//! Serves a client's connection of HTTP/2, whose requests come side by side.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::client::{Client, ToClient};
use super::clock::{Clock, Due, Look};
use super::forward::forward;
use super::multiplexed::{CONNECTION_WINDOW, MAX_HEAD, SEND_BUFFER, STREAM_WINDOW};
use super::stream::Stream;
use crate::proxy::idle::Keepalive;

/// Requests of one client at a time at most; it waits with further ones.
const MAX_STREAMS: u32 = 256;

/// Serves the requests of a connection until it ends. When the listener stops, the client is told to go away, and the requests
/// that it has finish. A client that is idle for too long is told so as well, and has as much time again to go.
pub(super) async fn serve(
    client: &Arc<Client>,
    tcp: TcpStream,
    unread: Bytes,
    clock: &mut Clock,
    drain: &CancellationToken,
) {
    Keepalive::default().enable(&tcp);
    let service = service_fn(|request| forward(Arc::clone(client), request));
    let stream = Stream::new(tcp, unread, ToClient(Arc::clone(client)));
    let mut http = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut look = pin!(sleep(clock.tick()));
    let mut drained = pin!(drain.cancelled());
    let mut goes = false;
    let serving = pin!(poll_fn(|cx| {
        while look.as_mut().poll(cx).is_ready() {
            // Between requests, there are frames of the connection itself.
            let seen = Look {
                head: false,
                ..client.look()
            };
            if clock.due(seen, Instant::now()) == Due::End {
                if goes {
                    return Poll::Ready(());
                }
                goes = true;
                http.as_mut().graceful_shutdown();
            }
            look.as_mut().reset(tokio::time::Instant::now() + clock.tick());
        }
        if !goes && drained.as_mut().poll(cx).is_ready() {
            goes = true;
            http.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(outcome) = http.as_mut().poll(cx) {
            if let Err(error) = outcome {
                tracing::debug!(peer = %client.connection.peer(), %error, "an HTTP connection failed");
            }
            return Poll::Ready(());
        }
        Poll::Pending
    }));
    if client.connection.unless_aborted(serving).await.is_none() {
        client.abort();
    }
}
