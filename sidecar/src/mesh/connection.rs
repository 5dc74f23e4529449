//! Connections to other nodes' exchange servers, and those kept open between exchanges.
//!
//! A kept connection tells at once when the program at its other end dies, because the kernel closes it.

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
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::large_bodies::{LargeBodies, SMALL, Turn};
use super::protocol::Failure;
use super::wire::GOSSIP_HEADER;

/// A handshake that takes longer has lost a packet, which the kernel would send again only after a second; it
/// does not take the other's program, however busy that is. Doubles, lest a longer way never be enough.
const HANDSHAKE: Duration = Duration::from_millis(250);

/// Why there is no answer.
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) cause: Box<dyn Error + Send + Sync>,
}

impl Trouble {
    pub(super) fn new(failure: Failure, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            failure,
            cause: cause.into(),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::new(failure_of(&error), error)
    }
}

impl From<hyper::Error> for Trouble {
    fn from(error: hyper::Error) -> Self {
        let io = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        let gone = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        let failure = match io {
            Some(io) => failure_of(io),
            None if gone => Failure::Refused,
            None => Failure::Bad,
        };
        Self::new(failure, error)
    }
}

fn failure_of(error: &io::Error) -> Failure {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable => Failure::Refused,
        ErrorKind::TimedOut => Failure::Timeout,
        _ => Failure::Bad,
    }
}

/// The body of a successful answer.
pub(super) struct AnswerBody {
    pub(super) bytes: Bytes,
    /// Its turn, where it is large.
    pub(super) turn: Option<Turn>,
    /// Whether the other says that it gossips.
    pub(super) gossips: bool,
}

/// A connection to one node. Nothing happens on it but while it is asked or watched.
pub(super) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    traffic: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    over: bool,
    answers: u32,
    /// Whether the other is of our own kind, as far as it has said.
    gossips: bool,
}

impl Connection {
    /// Connects from the node's own address, so that the other knows who speaks.
    pub(super) async fn open(own: IpAddr, to: SocketAddr) -> Result<Self, Trouble> {
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

    /// The body of a successful answer. Cancelled or failed, the connection is of no more use.
    pub(super) async fn ask(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
        to: IpAddr,
        max_body: usize,
        large: &LargeBodies,
    ) -> Result<AnswerBody, Trouble> {
        let requests = &mut self.requests;
        let mut answer = pin!(async {
            requests.ready().await?;
            let answer = requests.send_request(request).await?;
            let status = answer.status();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                // It has no time for us, as if it had not answered.
                return Err(Trouble::new(Failure::Timeout, format!("status {status}")));
            }
            if !status.is_success() {
                return Err(Trouble::new(Failure::Bad, format!("status {status}")));
            }
            let gossips = answer.headers().contains_key(GOSSIP_HEADER);
            let small = answer
                .body()
                .size_hint()
                .upper()
                .is_some_and(|size| size <= SMALL);
            let turn = if small { None } else { large.turn(to).await };
            let body = Limited::new(answer.into_body(), max_body).collect().await;
            match body {
                Ok(body) => Ok(AnswerBody {
                    bytes: body.to_bytes(),
                    turn,
                    gossips,
                }),
                Err(error) => Err(match error.downcast::<hyper::Error>() {
                    Ok(error) => (*error).into(),
                    Err(too_long) => Trouble::new(Failure::Bad, too_long),
                }),
            }
        });
        let body = tokio::select! {
            biased;
            answer = &mut answer => answer?,
            // The connection may end before its last bytes are read.
            ended = &mut self.traffic => {
                self.over = true;
                // Dropped, so that a request which it did not take up fails at once.
                self.traffic = Box::pin(std::future::pending());
                ended?;
                answer.await?
            }
        };
        self.answers = self.answers.saturating_add(1);
        self.gossips |= body.gossips;
        Ok(body)
    }

    /// Whether the other side is known to have closed it.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the other side keeps connections, and does not close each one after its answer as the original does:
    /// our own kind, which may never be asked again, and whoever has been.
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

/// Begins anew when it takes long, until the caller has waited long enough.
async fn connect(own: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let mut patience = HANDSHAKE;
    loop {
        let socket = if own.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.bind(SocketAddr::new(own, 0))?;
        match timeout(patience, socket.connect(to)).await {
            Ok(connected) => return connected,
            Err(_) => patience *= 2,
        }
    }
}

/// Connections that nobody is asked on now, one a node.
#[derive(Default)]
pub(super) struct IdleConnections(BTreeMap<SocketAddr, Connection>);

impl IdleConnections {
    pub(super) fn keep(&mut self, to: SocketAddr, connection: Connection) {
        self.0.insert(to, connection);
    }

    pub(super) fn take(&mut self, to: SocketAddr) -> Option<Connection> {
        self.0.remove(&to)
    }

    /// Closes all but the connections to these nodes.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(SocketAddr) -> bool) {
        self.0.retain(|to, _| wanted(*to));
    }

    /// Waits until a node closes its connection though it keeps connections. Can be cancelled.
    pub(super) async fn closed(&mut self) -> SocketAddr {
        poll_fn(|cx| {
            let mut closed = None;
            self.0.retain(|to, connection| {
                // One at a time: the next is found when asked again.
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
