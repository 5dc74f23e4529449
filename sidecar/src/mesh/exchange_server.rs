//! The exchange server: HTTP/1.1 on the node's TCP port.
//!
//! The original checks a node with a connection that carries no request: it stays open until the peer closes it.

use std::net::IpAddr;
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
}

/// The status, with the header that announces gossip, by which a node says that it leaves.
pub(super) const LEAVING: StatusCode = StatusCode::GONE;

type Rejection = (StatusCode, String);

impl ExchangeServer {
    /// Serves requests until stopped.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let server = self;
        let handler = move |from, request| {
            let server = Arc::clone(&server);
            async move { server.serve(from, request).await }
        };
        http::serve_within(LIMITS, HostCheck::Any, listener, handler, stop).await;
    }

    async fn serve(&self, from: IpAddr, request: hyper::Request<Incoming>) -> http::Answer {
        let gossips = request.headers().contains_key(GOSSIP_HEADER);
        let answer = match self.read(from, request).await {
            Ok(request) => self.ask(from, request, gossips).await,
            Err(rejected) => Err(rejected),
        };
        answer.unwrap_or_else(|(status, message)| {
            self.counters.count_rejected();
            tracing::debug!(%from, %status, message, "exchange rejected");
            let answer = http::json(status, &json!({ "code": status.as_u16(), "message": message }));
            match status {
                StatusCode::METHOD_NOT_ALLOWED => http::method_not_allowed("PUT", answer),
                LEAVING => announcing_gossip(answer),
                _ => answer,
            }
        })
    }

    async fn ask(&self, from: IpAddr, request: Request, gossips: bool) -> Result<http::Answer, Rejection> {
        let kind = request.kind();
        let gone = || {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "this node has stopped".to_owned(),
            )
        };
        let leaving = |Leaving| (LEAVING, "this node is leaving".to_owned());
        let (answer, answered) = oneshot::channel();
        let served = Served {
            from,
            request,
            gossips,
            answer,
        };
        self.requests.send(served).await.map_err(|_| gone())?;
        let answer = answered.await.map_err(|_| gone())?.map_err(leaving)?;
        self.counters.count_served(kind);
        let answer = match answer.body() {
            Some(body) => http::answer(StatusCode::OK, "application/json", body),
            None => http::empty(StatusCode::NO_CONTENT),
        };
        Ok(announcing_gossip(answer))
    }

    async fn read(&self, from: IpAddr, request: hyper::Request<Incoming>) -> Result<Request, Rejection> {
        let kind = kind(&request)?;
        let (request, dropped) = self.read_body(from, kind, request).await?;
        self.counters.note_unusable(from, &dropped);
        Ok(request)
    }

    async fn read_body(
        &self,
        from: IpAddr,
        kind: ExchangeKind,
        request: hyper::Request<Incoming>,
    ) -> Result<(Request, Dropped), Rejection> {
        let size = request.body().size_hint().upper();
        if size.is_some_and(|size| size <= SMALL) {
            let body = body(request, kind).await?;
            return parse(kind, &body);
        }
        let permit = tokio::time::timeout(PERMIT_TIMEOUT, self.large.permit(from)).await;
        let permit = permit.map_err(|_| {
            let message = "too many large bodies at once; try again";
            (StatusCode::SERVICE_UNAVAILABLE, message.to_owned())
        })?;
        let body = body(request, kind).await?;
        // Parsing a large body would block other tasks. The permit is held until it is parsed.
        let parsing = tokio::task::spawn_blocking(move || {
            let parsed = parse(kind, &body);
            drop((body, permit));
            parsed
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

fn announcing_gossip(mut answer: http::Answer) -> http::Answer {
    let headers = answer.headers_mut();
    headers.insert(GOSSIP_HEADER, HeaderValue::from_static("1"));
    answer
}

fn kind(request: &hyper::Request<Incoming>) -> Result<ExchangeKind, Rejection> {
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

async fn body(request: hyper::Request<Incoming>, kind: ExchangeKind) -> Result<Bytes, Rejection> {
    let body = http::body(request, kind.max_body()).await;
    body.map_err(|error| {
        let status = match error {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Incomplete => StatusCode::REQUEST_TIMEOUT,
        };
        (status, error.to_string())
    })
}

fn parse(kind: ExchangeKind, body: &[u8]) -> Result<(Request, Dropped), Rejection> {
    let mut dropped = Dropped::default();
    match Request::parse(kind, body, &mut dropped) {
        Ok(request) => Ok((request, dropped)),
        Err(malformed) => Err((StatusCode::BAD_REQUEST, malformed.to_string())),
    }
}
