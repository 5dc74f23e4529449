//! Relays bytes between client and instance until both are done.
//!
//! Each direction ends on its own: the end of one side's stream is passed on to the other side, which may go on
//! sending. A reset is passed on as a reset. A connection without bytes in flight holds no buffer: bytes go through a
//! scratch buffer of the worker thread, and only bytes that the receiver does not take are kept. No more is read
//! until the receiver takes them.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::flow::{Flow, FlowError};
use super::idle::{Due, IdleClock};
use crate::balance::Direction;

/// A side of a proxied connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client, which connected to us.
    Client,
    /// The instance, which we connected to.
    Instance,
}

/// Why a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides ended their streams.
    Finished,
    /// This side reset the connection, or writing to it failed because it is gone.
    Reset(Side),
    /// The connection to this side failed in another way.
    Broken(Side, ErrorKind),
    /// The instance is down.
    EndpointDown,
    /// No bytes in either direction for the idle timeout.
    Idle,
    /// Aborted on request.
    Aborted,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |side: &Side| match side {
            Side::Client => "client",
            Side::Instance => "instance",
        };
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Reset(side) => write!(f, "reset by {}", name(side)),
            Self::Broken(side, kind) => write!(f, "connection to {} broke: {kind}", name(side)),
            Self::EndpointDown => f.write_str("instance is down"),
            Self::Idle => f.write_str("idle for too long"),
            Self::Aborted => f.write_str("aborted"),
        }
    }
}

/// Result of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Bytes written to the instance's socket, however the relay ended.
    pub to_instance: u64,
    /// Bytes written to the client's socket, however the relay ended.
    pub to_client: u64,
    /// Why it ended.
    pub end: End,
}

/// Data that the client sent before the relay began. The instance gets it first.
#[derive(Debug, Default)]
pub struct InitialData {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Bytes of it that were already sent to the instance.
    pub sent: usize,
}

/// Relays until both sides are done, the idle timeout of the clock passes, `abort` returns a reason, or the connection fails. The
/// caller then drops both streams: that closes them in order after [`End::Finished`], and otherwise with a reset, by
/// which a peer distinguishes an abort from the end of a complete stream.
///
/// `meter` gets the bytes written, including the initial data sent before.
///
/// The flows are created outside of the future, which would otherwise hold their arguments as well.
pub fn relay(
    client: &TcpStream,
    instance: &TcpStream,
    initial: InitialData,
    mut clock: IdleClock,
    mut abort: Pin<&mut impl Future<Output = End>>,
    meter: impl Fn(Direction, u64),
) -> impl Future<Output = Summary> {
    if initial.sent > 0 {
        meter(Direction::ToInstance, initial.sent as u64);
    }
    let mut downstream = Flow::new(Vec::new(), 0);
    if !initial.bytes.is_empty() {
        downstream = downstream.with_quick_ack();
    }
    let mut upstream = Flow::new(initial.bytes, initial.sent);
    async move {
        let end = {
            // A side that is not read, because its stream has ended or its bytes cannot be written now, reports a reset
            // only as an error event. Boxed when first needed: few connections need it.
            let (mut client_error, mut instance_error) = (None, None);
            // One timer for both directions: activity only records the time, and the timer is re-armed when it fires.
            let begin = Instant::now();
            let mut timer = pin!(sleep_until(clock.next().unwrap_or(begin)));
            let mut armed = true;
            poll_fn(|cx| {
                let before = (upstream.moved(), downstream.moved());
                let up = upstream.pump(cx, client, instance, downstream.is_done());
                // The kernel reports a reset once, to the first read or write. After a failed write, a read finds the end
                // of the stream, which must not be passed on.
                let failed = matches!(up, Poll::Ready(Err(_)));
                let down = downstream.pump(cx, instance, client, upstream.is_done() || failed);
                let now = (upstream.moved(), downstream.moved());
                if now.0 > before.0 {
                    meter(Direction::ToInstance, now.0 - before.0);
                }
                if now.1 > before.1 {
                    meter(Direction::ToClient, now.1 - before.1);
                }
                match (up, down) {
                    (Poll::Ready(Err(error)), _) => {
                        return Poll::Ready(end_of(&error, Side::Client, Side::Instance));
                    }
                    (_, Poll::Ready(Err(error))) => {
                        return Poll::Ready(end_of(&error, Side::Instance, Side::Client));
                    }
                    (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Finished),
                    _ => {}
                }
                if !upstream.reads() {
                    let error = client_error.get_or_insert_with(|| Box::pin(client.ready(Interest::ERROR)));
                    if error.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(pending_error(client, Side::Client));
                    }
                }
                if !downstream.reads() {
                    let error =
                        instance_error.get_or_insert_with(|| Box::pin(instance.ready(Interest::ERROR)));
                    if error.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(pending_error(instance, Side::Instance));
                    }
                }
                if let Poll::Ready(end) = abort.as_mut().poll(cx) {
                    return Poll::Ready(end);
                }
                if now != before {
                    clock.moved(Instant::now());
                }
                while armed && timer.as_mut().poll(cx).is_ready() {
                    match clock.due(Instant::now()) {
                        Due::End => return Poll::Ready(End::Idle),
                        Due::Keepalive => [client, instance].map(|end| clock.keep_alive(end)),
                        Due::Later(Some(at)) => {
                            timer.as_mut().reset(at);
                            continue;
                        }
                        Due::Later(None) => {
                            armed = false;
                            continue;
                        }
                    };
                }
                Poll::Pending
            })
            .await
        };
        if end != End::Finished {
            for stream in [client, instance] {
                // On failure the connection has already ended.
                let _ = stream.set_zero_linger();
            }
        }
        Summary {
            to_instance: upstream.moved(),
            to_client: downstream.moved(),
            end,
        }
    }
}

fn pending_error(stream: &TcpStream, side: Side) -> End {
    match stream.take_error() {
        Ok(Some(error)) => end_on(side, &error),
        _ => End::Reset(side),
    }
}

fn end_on(side: Side, error: &io::Error) -> End {
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected => End::Reset(side),
        kind => End::Broken(side, kind),
    }
}

/// Why the relay ends after the flow from `source` to `sink` failed.
fn end_of(error: &FlowError, source: Side, sink: Side) -> End {
    match error {
        FlowError::Read(error) => end_on(source, error),
        FlowError::Write(error) => end_on(sink, error),
    }
}
