//! Connections to other nodes' exchange servers, and those kept open between exchanges.
//!
//! A kept connection reports a crash of the peer at once, because the kernel closes it.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::StatusCode;
use hyper::body::Body;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exchange_server::LEAVING;
use super::large_bodies::{LargeBodies, Permit, SMALL};
use super::protocol::Failure;
use super::wire::GOSSIP_HEADER;
use crate::dial::{DialError, dial};
use crate::fault::Fault;
use crate::limits::{BUDGET, Descriptors};

/// Timeout for a TCP handshake, which the peer's kernel answers even if its program is busy. A longer handshake has
/// lost a packet, which our kernel would retransmit only after a second. The timeout doubles from attempt to attempt,
/// for longer round trips.
const HANDSHAKE: Duration = Duration::from_millis(250);

/// Why an exchange got no answer.
pub(super) struct ExchangeError {
    pub(super) failure: Failure,
    pub(super) cause: Box<dyn Error + Send + Sync>,
}

impl ExchangeError {
    pub(super) fn new(failure: Failure, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            failure,
            cause: cause.into(),
        }
    }
}

impl From<DialError> for ExchangeError {
    fn from(error: DialError) -> Self {
        Self::new(error.fault.into(), error)
    }
}

impl From<hyper::Error> for ExchangeError {
    fn from(error: hyper::Error) -> Self {
        let io = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        let gone = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        let failure = match io {
            Some(io) => Fault::of_connection(io, None).into(),
            None if gone => Failure::Refused,
            None => Failure::Bad,
        };
        Self::new(failure, error)
    }
}

/// The body of a successful answer, or of a challenge of a peer with a key.
pub(super) struct AnswerBody {
    pub(super) status: StatusCode,
    pub(super) bytes: Bytes,
    /// The permit of a large body, held while the body is.
    pub(super) permit: Option<Permit>,
    /// Whether the peer has announced that it gossips.
    pub(super) gossips: bool,
}

/// A connection to one peer. It makes progress only during a request, or while it is polled for its end.
pub(super) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    traffic: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    over: bool,
    answers: u32,
    /// Whether the peer has announced that it gossips.
    gossips: bool,
}

impl Connection {
    /// Connects from the node's own address, by which the peer recognises it.
    pub(super) async fn open(own: IpAddr, to: SocketAddr) -> Result<Self, ExchangeError> {
        let stream = connect(own, to).await?;
        let (requests, traffic) = Builder::new()
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self {
            requests,
            traffic: Box::pin(traffic),
            over: false,
            answers: 0,
            gossips: false,
        })
    }

    /// Makes one request. After a cancellation or a failure the connection cannot be used again.
    pub(super) async fn ask(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
        to: IpAddr,
        max_body: usize,
        large: &LargeBodies,
    ) -> Result<AnswerBody, ExchangeError> {
        let requests = &mut self.requests;
        let mut answer = pin!(async {
            requests.ready().await?;
            let answer = requests.send_request(request).await?;
            let status = answer.status();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                // An overloaded peer counts as one that did not answer.
                return Err(ExchangeError::new(Failure::Timeout, format!("status {status}")));
            }
            let gossips = answer.headers().contains_key(GOSSIP_HEADER);
            if !status.is_success() && status != StatusCode::TOO_EARLY && status != LEAVING {
                return Err(ExchangeError::new(Failure::Bad, format!("status {status}")));
            }
            let small = answer
                .body()
                .size_hint()
                .upper()
                .is_some_and(|size| size <= SMALL);
            let permit = if small { None } else { large.permit(to).await };
            let body = Limited::new(answer.into_body(), max_body).collect().await;
            match body {
                Ok(body) => Ok(AnswerBody {
                    status,
                    bytes: body.to_bytes(),
                    permit,
                    gossips,
                }),
                Err(error) => Err(match error.downcast::<hyper::Error>() {
                    Ok(error) => (*error).into(),
                    Err(too_long) => ExchangeError::new(Failure::Bad, too_long),
                }),
            }
        });
        let body = tokio::select! {
            biased;
            answer = &mut answer => answer?,
            // The connection may end before the last bytes of the body are read.
            ended = &mut self.traffic => {
                self.over = true;
                // Dropped, so that a request not yet sent fails at once.
                self.traffic = Box::pin(std::future::pending());
                ended?;
                answer.await?
            }
        };
        self.answers = self.answers.saturating_add(1);
        self.gossips |= body.gossips;
        Ok(body)
    }

    /// Whether the connection is known to be closed by the peer.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the peer keeps connections open; the original closes each after its answer. True if the peer gossips
    /// or has answered twice.
    fn is_kept(&self) -> bool {
        self.gossips || self.answers > 1
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.over && self.traffic.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.over = true;
        Poll::Ready(())
    }
}

/// Repeats handshakes that time out, until the caller's timeout.
async fn connect(own: IpAddr, to: SocketAddr) -> Result<TcpStream, DialError> {
    let mut limit = HANDSHAKE;
    loop {
        match timeout(limit, dial(to, Some(own))).await {
            Ok(connected) => return connected,
            Err(_) => limit *= 2,
        }
    }
}

/// Idle connections, at most one to each peer, and no more than the budget of descriptors has room for.
#[derive(Default)]
pub(super) struct IdleConnections(BTreeMap<SocketAddr, (Connection, Descriptors)>);

impl IdleConnections {
    pub(super) fn keep(&mut self, to: SocketAddr, connection: Connection) {
        if let Some(descriptors) = BUDGET.try_inbound() {
            self.0.insert(to, (connection, descriptors));
        }
    }

    pub(super) fn take(&mut self, to: SocketAddr) -> Option<Connection> {
        self.0.remove(&to).map(|(connection, _)| connection)
    }

    /// Closes all connections except those to these nodes.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(SocketAddr) -> bool) {
        self.0.retain(|to, _| wanted(*to));
    }

    /// Waits until a peer that keeps connections closes one. Cancel-safe.
    pub(super) async fn closed(&mut self) -> SocketAddr {
        poll_fn(|cx| {
            let mut closed = None;
            self.0.retain(|to, (connection, _)| {
                // Reports one closed connection; the next call reports the next.
                if closed.is_some() || connection.poll_over(cx).is_pending() {
                    return true;
                }
                closed = connection.is_kept().then_some(*to);
                false
            });
            closed.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
