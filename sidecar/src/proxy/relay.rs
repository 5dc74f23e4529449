//! Passes bytes between client and instance until both are done.
//!
//! Each direction ends on its own: an end of stream on one side is passed on to the other, which may go on
//! sending. A reset is passed on as a reset. A connection without bytes in flight holds no buffer: bytes go
//! through a scratch buffer of the worker thread, and only what the receiver cannot take now is kept, until
//! it does; meanwhile nothing more is read from the sender.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::flow::{Fault, Flow};
use crate::balance::Direction;

/// One of the two ends of a proxied connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who connected to us.
    Client,
    /// Whom we connected to.
    Instance,
}

/// Why a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides ended their streams.
    Finished,
    /// This side reset the connection, or went away so that writing to it failed.
    Reset(Side),
    /// The connection to this side broke in another way.
    Broken(Side, ErrorKind),
    /// The instance is lost: nothing would come from it any more.
    EndpointDown,
    /// Nothing came from either side for the idle timeout.
    Idle,
    /// We were told to end it.
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
            Self::EndpointDown => f.write_str("instance is lost"),
            Self::Idle => f.write_str("idle for too long"),
            Self::Aborted => f.write_str("cut"),
        }
    }
}

/// What a relay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Bytes handed to the instance's socket, however the relay ended.
    pub to_instance: u64,
    /// Bytes handed to the client's socket, however the relay ended.
    pub to_client: u64,
    /// Why it ended.
    pub end: End,
}

/// What the client sent before the relay began. The instance gets it first.
#[derive(Debug, Default)]
pub struct InitialData {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many of them the instance has been sent already.
    pub sent: usize,
}

/// Passes bytes until both sides are done, nothing came for the idle time, `cut` says why to end at once, or the
/// connection ends in another way. Both streams are to be dropped then: that closes them orderly after
/// [`End::Finished`], else with a reset, which tells a peer from a complete stream.
///
/// `meter` is told of bytes as they are handed on, those included that were sent with the initial data.
///
/// The flows are made before the future begins, which would else keep what they are made of for as long as it lasts.
pub fn relay(
    client: &TcpStream,
    instance: &TcpStream,
    initial: InitialData,
    idle: Duration,
    mut cut: Pin<&mut impl Future<Output = End>>,
    meter: impl Fn(Direction, u64),
) -> impl Future<Output = Summary> {
    if initial.sent > 0 {
        meter(Direction::ToInstance, initial.sent as u64);
    }
    let mut downstream = Flow::new(Vec::new(), 0);
    if !initial.bytes.is_empty() {
        downstream = downstream.confirming();
    }
    let mut upstream = Flow::new(initial.bytes, initial.sent);
    async move {
        let end = {
            // A side that has ended its stream, or whose bytes nobody can take now, is not read: then only this
            // tells of its reset. Few connections come to that, so the others do not hold the room for it.
            let (mut client_error, mut instance_error) = (None, None);
            // One timer for both directions: activity only notes the time, and the timer is set anew when it fires.
            let mut last = Instant::now();
            let mut timer = pin!(sleep_until(last + idle));
            poll_fn(|cx| {
                let before = (upstream.moved(), downstream.moved());
                let up = upstream.pump(cx, client, instance, downstream.is_done());
                // A reset is told once, and to whom it is told is chance: where a write has met it, a read finds the stream
                // ended, and that end is not to be passed on.
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
                    (Poll::Ready(Err(fault)), _) => {
                        return Poll::Ready(end_of(&fault, Side::Client, Side::Instance));
                    }
                    (_, Poll::Ready(Err(fault))) => {
                        return Poll::Ready(end_of(&fault, Side::Instance, Side::Client));
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
                if let Poll::Ready(end) = cut.as_mut().poll(cx) {
                    return Poll::Ready(end);
                }
                if now != before {
                    last = Instant::now();
                }
                while timer.as_mut().poll(cx).is_ready() {
                    if last.elapsed() >= idle {
                        return Poll::Ready(End::Idle);
                    }
                    timer.as_mut().reset(last + idle);
                }
                Poll::Pending
            })
            .await
        };
        if end != End::Finished {
            for stream in [client, instance] {
                // Where it fails, the connection is gone already.
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
        Ok(Some(error)) => broken(side, &error),
        _ => End::Reset(side),
    }
}

fn broken(side: Side, error: &io::Error) -> End {
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected => End::Reset(side),
        kind => End::Broken(side, kind),
    }
}

/// Why it ends, where the flow from `source` to `sink` broke.
fn end_of(fault: &Fault, source: Side, sink: Side) -> End {
    match fault {
        Fault::Read(error) => broken(source, error),
        Fault::Write(error) => broken(sink, error),
    }
}
