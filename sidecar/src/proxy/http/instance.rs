//! Connections to instances, of either version of HTTP. Each is driven by a task of its worker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::either::Either;

use super::exclusive::Exclusive;
use super::multiplexed;
use super::replay::RequestBody;
use super::stream::{Meter, Stream};
use crate::balance::{Direction, Lease, Server, ServerGroup};
use crate::proxy::shared::Shared;

/// The head of the answer to a request, or why there is none, with the request if none of it was written.
pub(super) type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// The connection that carries a request.
pub(super) enum Instance {
    /// It carries no other one.
    Exclusive(Exclusive),
    /// It carries others as well.
    Multiplexed(multiplexed::Stream),
}

impl Instance {
    /// Sends a request, and waits for the head of the answer.
    ///
    /// # Errors
    /// With the request, if none of it was written.
    pub(super) fn send(&mut self, request: Request<RequestBody>) -> impl Future<Output = Sent> + use<> {
        match self {
            Self::Exclusive(connection) => Either::Left(connection.send(request)),
            Self::Multiplexed(stream) => Either::Right(stream.send(request)),
        }
    }

    /// Takes note of the head of an answer.
    pub(super) fn answered(&mut self, answer: &Response<Incoming>) {
        if let Self::Exclusive(connection) = self {
            connection.answered(answer);
        }
    }

    /// Keeps it for the next request, if it may carry one.
    pub(super) fn put_back(self) {
        if let Self::Exclusive(connection) = self {
            connection.put_back();
        }
    }
}

/// Whether an error says that the instance has not acted on the request (RFC 9113, sections 6.8 and 8.7).
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    of_http2(error).is_some_and(|error| {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        // A request that the instance may have acted on is not ended by its announcement to go away.
        let beyond_last = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_remote() && (refused || beyond_last)
    })
}

/// Whether an error says that the body of the request broke off, which is the client's doing.
pub(super) fn is_broken_off(error: &hyper::Error) -> bool {
    let reset = |error: &h2::Error| error.is_reset() && !error.is_remote() && !error.is_library();
    error.is_user() || of_http2(error).is_some_and(reset)
}

fn of_http2(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

/// The stream of a connection to an instance.
pub(super) type InstanceStream = TokioIo<Stream<ToInstance>>;

/// An established connection to the server of a lease, as hyper reads and writes it.
pub(super) fn stream_to(lease: &Lease, tcp: TcpStream, watch: Watch) -> InstanceStream {
    let meter = ToInstance {
        server: Arc::clone(lease.server()),
        group: Arc::clone(lease.group()),
        watch,
    };
    TokioIo::new(Stream::new(tcp, Bytes::new(), meter))
}

/// What is watched on a connection to an instance.
pub(super) enum Watch {
    /// If it is set, whether the instance has ended the connection before the next bytes are written.
    End(Arc<AtomicBool>),
    /// The first bytes of the instance, once.
    Greeting(Option<Arc<Notify>>),
}

/// Starts the task of a connection. It ends with the connection, or when the instance goes down, which fails the requests that
/// it carries.
pub(super) fn drive(
    listener: &Arc<Shared>,
    lease: &Lease,
    connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
) {
    let counted = Counted::new(listener, lease.address());
    let down = lease.watch_down();
    tokio::spawn(async move {
        let _counted = counted;
        tokio::select! {
            biased;
            // Its error is reported to the requests.
            _ = connection => {}
            () = down => {}
        }
    });
}

/// The listener and the server of a connection, both of which live at least as long as it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    listener: usize,
    server: usize,
}

impl Key {
    pub(super) fn new(listener: &Arc<Shared>, lease: &Lease) -> Self {
        Self {
            listener: Arc::as_ptr(listener).addr(),
            server: Arc::as_ptr(lease.server()).addr(),
        }
    }
}

/// Counts the bytes of an instance.
pub(super) struct ToInstance {
    server: Arc<Server>,
    group: Arc<ServerGroup>,
    watch: Watch,
}

impl ToInstance {
    fn moved(&self, direction: Direction, bytes: usize) {
        self.server.counters().moved(direction, bytes as u64);
        self.group.counters().moved(direction, bytes as u64);
    }
}

impl Meter for ToInstance {
    fn read(&mut self, bytes: usize) {
        self.moved(Direction::ToClient, bytes);
        if let Watch::Greeting(greeting) = &mut self.watch
            && let Some(greeting) = greeting.take()
        {
            greeting.notify_one();
        }
    }

    fn needs_end(&self) -> bool {
        matches!(&self.watch, Watch::End(needed) if needed.swap(false, Ordering::Relaxed))
    }

    fn written(&self, bytes: usize) {
        self.moved(Direction::ToInstance, bytes);
        if let Watch::End(needed) = &self.watch {
            needed.store(false, Ordering::Relaxed);
        }
    }
}

/// A connection to an instance, counted among its listener's while it is open.
struct Counted {
    listener: Arc<Shared>,
    instance: SocketAddr,
}

impl Counted {
    fn new(listener: &Arc<Shared>, instance: SocketAddr) -> Self {
        listener.peers.connected(instance);
        Self {
            listener: Arc::clone(listener),
            instance,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.listener.peers.disconnected(self.instance);
    }
}
