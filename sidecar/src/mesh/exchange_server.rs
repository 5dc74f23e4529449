//! The exchange server: HTTP/1.1 on the node's TCP port.
//!
//! The original checks a node with a connection that carries no request: it stays open until the peer closes it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::key::envelope::{EXCHANGE_OVERHEAD, Kind};
use super::key::{Asked, MeshKey, Question, Refusal, SEALED_TYPE};
use super::large_bodies::{LargeBodies, SMALL};
use super::wire::{Answer, Dropped, ExchangeKind, GOSSIP_HEADER, PATH_PREFIX, Request};
use crate::http::{self, BodyError, HostCheck, Limits};

/// Wait for the permit of a large body. Senders wait longer than this for their answer.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits {
    connections: 512,
    // Several nodes may share one address, and each keeps a connection.
    connections_each: 64,
    // Peers know it, and thousands of small answers a second would grow by half.
    announce_idle: false,
    // The last peers get the answer that this node leaves.
    stop: Duration::from_millis(100),
};

/// A request on its way to the node's state machine.
pub(super) struct Served {
    pub(super) from: IpAddr,
    pub(super) request: Request,
    /// Whether the sender has announced that it gossips.
    pub(super) gossips: bool,
    pub(super) answer: oneshot::Sender<Result<Answer, Leaving>>,
}

/// The answer to every request of a node that has sent `leave`.
pub(super) struct Leaving;

/// The exchange server of one node.
pub(super) struct ExchangeServer {
    pub(super) requests: mpsc::Sender<Served>,
    pub(super) counters: Arc<Counters>,
    pub(super) large: LargeBodies,
    pub(super) key: Option<Arc<MeshKey>>,
}

/// The status, with the header that announces gossip, by which a node says that it leaves.
pub(super) const LEAVING: StatusCode = StatusCode::GONE;

/// Why a request is not served.
enum Rejection {
    Status(StatusCode, String),
    /// Its sender is to prove first that it is no copy of an earlier one: the sealed challenge.
    Unproven(Vec<u8>),
    /// This node leaves. With a key, how to seal that.
    Leaving(Option<Asked>),
}

impl From<(StatusCode, String)> for Rejection {
    fn from((status, message): (StatusCode, String)) -> Self {
        Self::Status(status, message)
    }
}

/// A request that was read.
struct Read {
    request: Request,
    dropped: Dropped,
    /// How to seal the answer, if there is a key.
    asked: Option<Asked>,
}

impl ExchangeServer {
    /// Serves requests until stopped.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let server = self;
        // A listener that is bound has an address.
        let Ok(own) = listener.local_addr() else { return };
        let handler = move |from, request| {
            let server = Arc::clone(&server);
            async move { server.serve(own, from, request).await }
        };
        http::serve_within(LIMITS, HostCheck::Any, listener, handler, stop).await;
    }

    async fn serve(&self, own: SocketAddr, from: IpAddr, request: hyper::Request<Incoming>) -> http::Answer {
        let gossips = request.headers().contains_key(GOSSIP_HEADER);
        let answer = match self.read(own, from, request).await {
            Ok(read) => self.ask(from, read, gossips).await,
            Err(rejected) => Err(rejected),
        };
        answer.unwrap_or_else(|rejection| match rejection {
            Rejection::Unproven(challenge) => http::answer(StatusCode::TOO_EARLY, SEALED_TYPE, challenge),
            Rejection::Leaving(Some(asked)) => {
                self.counters.count_rejected();
                announcing_gossip(http::answer(LEAVING, SEALED_TYPE, asked.leaving()))
            }
            Rejection::Leaving(None) => announcing_gossip(self.reject(from, LEAVING, "this node is leaving")),
            Rejection::Status(status, message) => {
                let answer = self.reject(from, status, &message);
                match status {
                    StatusCode::METHOD_NOT_ALLOWED => http::method_not_allowed("PUT", answer),
                    _ => answer,
                }
            }
        })
    }

    fn reject(&self, from: IpAddr, status: StatusCode, message: &str) -> http::Answer {
        self.counters.count_rejected();
        tracing::debug!(%from, %status, message, "exchange rejected");
        http::json(status, &json!({ "code": status.as_u16(), "message": message }))
    }

    async fn ask(&self, from: IpAddr, read: Read, gossips: bool) -> Result<http::Answer, Rejection> {
        let Read { request, asked, .. } = read;
        let kind = request.kind();
        let gone = || {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "this node has stopped".to_owned(),
            )
        };
        let (answer, answered) = oneshot::channel();
        let served = Served {
            from,
            request,
            // Only nodes that gossip have a key. The header is not authenticated.
            gossips: gossips || asked.is_some(),
            answer,
        };
        self.requests.send(served).await.map_err(|_| gone())?;
        let answer = match answered.await.map_err(|_| gone())? {
            Ok(answer) => answer,
            Err(Leaving) => return Err(Rejection::Leaving(asked)),
        };
        self.counters.count_served(kind);
        let answer = match (answer.body(), asked) {
            (body, Some(asked)) => {
                let sealed = asked.answer(&body.unwrap_or_default());
                http::answer(StatusCode::OK, SEALED_TYPE, sealed)
            }
            (Some(body), None) => http::answer(StatusCode::OK, "application/json", body),
            (None, None) => http::empty(StatusCode::NO_CONTENT),
        };
        Ok(announcing_gossip(answer))
    }

    async fn read(
        &self,
        own: SocketAddr,
        from: IpAddr,
        request: hyper::Request<Incoming>,
    ) -> Result<Read, Rejection> {
        let kind = kind(&request)?;
        let read = self.read_body(own, from, kind, request).await?;
        self.counters.note_unusable(from, &read.dropped);
        Ok(read)
    }

    async fn read_body(
        &self,
        own: SocketAddr,
        from: IpAddr,
        kind: ExchangeKind,
        request: hyper::Request<Incoming>,
    ) -> Result<Read, Rejection> {
        let reader = BodyReader {
            own,
            from,
            kind,
            key: self.key.clone(),
            counters: Arc::clone(&self.counters),
        };
        let size = request.body().size_hint().upper();
        if size.is_some_and(|size| size <= SMALL) {
            return reader.read(&body(request, kind).await?);
        }
        let permit = tokio::time::timeout(PERMIT_TIMEOUT, self.large.permit(from)).await;
        let permit = permit.map_err(|_| {
            let message = "too many large bodies at once; try again";
            (StatusCode::SERVICE_UNAVAILABLE, message.to_owned())
        })?;
        let body = body(request, kind).await?;
        // Parsing a large body would block other tasks. The permit is held until it is parsed.
        let parsing = tokio::task::spawn_blocking(move || {
            let read = reader.read(&body);
            drop((body, permit));
            read
        });
        let failed = |_| {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the body was not read".to_owned(),
            )
        };
        parsing.await.map_err(failed)?
    }
}

/// Reads the body of a request.
struct BodyReader {
    own: SocketAddr,
    from: IpAddr,
    kind: ExchangeKind,
    key: Option<Arc<MeshKey>>,
    counters: Arc<Counters>,
}

impl BodyReader {
    fn read(self, body: &[u8]) -> Result<Read, Rejection> {
        let refusals = &self.counters.refusals;
        let Some(key) = &self.key else {
            if Kind::of(body).is_some() {
                refusals.note(self.from, Refusal::Sealed);
            }
            return self.parse(body, None);
        };
        let path = format!("{PATH_PREFIX}{}", self.kind.name());
        match key.open_request(self.from, self.own, &path, body) {
            Some(Question::Fresh(content, asked)) => self.parse(&content, Some(asked)),
            Some(Question::Unproven { challenge, replayed }) => {
                let why = if replayed {
                    Refusal::Replayed
                } else {
                    Refusal::UnknownBoot
                };
                refusals.note(self.from, why);
                Err(Rejection::Unproven(challenge))
            }
            None => {
                refusals.note(self.from, Refusal::of_unopened(body));
                let message = "this node only accepts what is sealed with its mesh key";
                Err(Rejection::Status(StatusCode::FORBIDDEN, message.to_owned()))
            }
        }
    }

    fn parse(&self, content: &[u8], asked: Option<Asked>) -> Result<Read, Rejection> {
        let mut dropped = Dropped::default();
        match Request::parse(self.kind, content, &mut dropped) {
            Ok(request) => Ok(Read {
                request,
                dropped,
                asked,
            }),
            Err(malformed) => Err(Rejection::Status(StatusCode::BAD_REQUEST, malformed.to_string())),
        }
    }
}

fn announcing_gossip(mut answer: http::Answer) -> http::Answer {
    let headers = answer.headers_mut();
    headers.insert(GOSSIP_HEADER, HeaderValue::from_static("1"));
    answer
}

fn kind(request: &hyper::Request<Incoming>) -> Result<ExchangeKind, (StatusCode, String)> {
    let Some(name) = request.uri().path().strip_prefix(PATH_PREFIX) else {
        return Err((
            StatusCode::NOT_FOUND,
            format!("expected a path below {PATH_PREFIX}"),
        ));
    };
    if request.method() != Method::PUT {
        return Err((
            StatusCode::METHOD_NOT_ALLOWED,
            format!("expected PUT, found {}", request.method()),
        ));
    }
    let unknown = || (StatusCode::BAD_REQUEST, format!("unknown exchange type {name:?}"));
    ExchangeKind::named(name).ok_or_else(unknown)
}

async fn body(request: hyper::Request<Incoming>, kind: ExchangeKind) -> Result<Bytes, (StatusCode, String)> {
    let body = http::body(request, kind.max_body() + EXCHANGE_OVERHEAD).await;
    body.map_err(|error| {
        let status = match error {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Incomplete => StatusCode::REQUEST_TIMEOUT,
        };
        (status, error.to_string())
    })
}
