//! Answers other nodes: HTTP/1.1 on the node's TCP port (discovery protocol: node exchange, service
//! exchange).
//!
//! A connection without a request is a check of the original: it stays open until the peer closes it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::wire::{Answer, ExchangeKind, PATH_PREFIX, Request};
use crate::http::{self, BodyError, Limits};

/// The longest body that is read, in bytes.
pub const MAX_BODY: usize = 4 << 20;
const LIMITS: Limits = Limits {
    connections: 512,
    // Several nodes may live at one address and keep a connection each.
    connections_each: 64,
    // Whoever still waits for an answer has been told that this node goes.
    stop: Duration::ZERO,
};

/// A request on its way to the node's state machine.
pub(super) struct Served {
    pub(super) from: IpAddr,
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The exchange server of one node.
pub(super) struct ExchangeServer {
    pub(super) requests: mpsc::Sender<Served>,
    pub(super) counters: Arc<Counters>,
}

impl ExchangeServer {
    /// Serves until stopped.
    pub(super) async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let server = Arc::new(self);
        let handler = move |from, request| {
            let server = Arc::clone(&server);
            async move { server.serve(from, request).await }
        };
        http::serve_within(LIMITS, listener, handler, stop).await;
    }

    async fn serve(&self, from: IpAddr, request: hyper::Request<Incoming>) -> http::Answer {
        let answer = match read(request).await {
            Ok(request) => self.ask(from, request).await,
            Err(rejected) => Err(rejected),
        };
        answer.unwrap_or_else(|(status, message)| {
            self.counters.count_rejected();
            tracing::debug!(%from, %status, message, "exchange rejected");
            http::json(status, &json!({ "code": status.as_u16(), "message": message }))
        })
    }

    async fn ask(&self, from: IpAddr, request: Request) -> Result<http::Answer, (StatusCode, String)> {
        let kind = request.kind();
        let gone = || (StatusCode::SERVICE_UNAVAILABLE, "this node is leaving".to_owned());
        let (answer, answered) = oneshot::channel();
        let served = Served {
            from,
            request,
            answer,
        };
        self.requests.send(served).await.map_err(|_| gone())?;
        let answer = answered.await.map_err(|_| gone())?;
        self.counters.count_served(kind);
        Ok(match answer.body() {
            Some(body) => http::answer(StatusCode::OK, "application/json", body),
            None => http::empty(StatusCode::NO_CONTENT),
        })
    }
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, (StatusCode, String)> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
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
    let kind = ExchangeKind::named(name).ok_or_else(|| bad(format!("unknown exchange type {name}")))?;
    let body = http::body(request, MAX_BODY).await.map_err(|error| {
        let status = match error {
            BodyError::TooLarge(_) => StatusCode::BAD_REQUEST,
            BodyError::Incomplete => StatusCode::REQUEST_TIMEOUT,
        };
        (status, error.to_string())
    })?;
    Request::parse(kind, &body).map_err(|malformed| bad(malformed.to_string()))
}
