//! Makes an exchange: one HTTP/1.1 request, on a kept connection or on a new one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};

use super::connection::{AnswerBody, Connection, ExchangeError};
use super::counters::Counters;
use super::large_bodies::LargeBodies;
use super::protocol::Failure;
use super::wire::{Answer, Dropped, ExchangeKind, GOSSIP_HEADER, Malformed, PATH_PREFIX, Request};

const AGENT: &str = concat!("sidecar/", env!("CARGO_PKG_VERSION"));

/// The end of an exchange.
pub(super) struct Ended {
    pub(super) outcome: Result<Answer, Failure>,
    /// Whether the peer has announced that it gossips.
    pub(super) gossips: bool,
    /// The connection, if it can be used again.
    pub(super) connection: Option<Connection>,
}

impl Ended {
    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            outcome: Err(failure),
            gossips: false,
            connection: None,
        }
    }
}

/// Makes one exchange.
pub(super) async fn exchange(
    own: IpAddr,
    to: SocketAddr,
    request: Request,
    timeout: Duration,
    kept: Option<Connection>,
    large: &LargeBodies,
    counters: &Counters,
) -> Ended {
    let kind = request.kind();
    let answer = match tokio::time::timeout(timeout, ask(own, to, &request, kept, large)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ExchangeError::new(Failure::Timeout, "no answer in time")),
    };
    match answer {
        Ok((answer, dropped, gossips, connection)) => {
            counters.note_unusable(to.ip(), &dropped);
            Ended {
                outcome: Ok(answer),
                gossips,
                connection: Some(connection).filter(|it| !it.is_over()),
            }
        }
        Err(ExchangeError { failure, cause }) => {
            tracing::debug!(%to, kind = kind.name(), ?failure, cause, "exchange failed");
            Ended::failed(failure)
        }
    }
}

/// The answer, what was left out of it, whether the peer gossips, and the connection.
async fn ask(
    own: IpAddr,
    to: SocketAddr,
    request: &Request,
    kept: Option<Connection>,
    large: &LargeBodies,
) -> Result<(Answer, Dropped, bool, Connection), ExchangeError> {
    let kind = request.kind();
    if let Some(mut connection) = kept {
        match connection
            .ask(http(to, request)?, to.ip(), kind.max_body(), large)
            .await
        {
            Ok(body) => {
                let gossips = body.gossips;
                let (answer, dropped) = read(kind, body).await?;
                return Ok((answer, dropped, gossips, connection));
            }
            // The peer had closed it since its last use. Every request may be repeated, and only a new connection
            // shows whether the peer is there.
            Err(error) if error.failure == Failure::Refused => {}
            Err(error) => return Err(error),
        }
    }
    let mut connection = Connection::open(own, to).await?;
    let body = connection
        .ask(http(to, request)?, to.ip(), kind.max_body(), large)
        .await?;
    let gossips = body.gossips;
    let (answer, dropped) = read(kind, body).await?;
    Ok((answer, dropped, gossips, connection))
}

async fn read(
    kind: ExchangeKind,
    AnswerBody { bytes, permit, .. }: AnswerBody,
) -> Result<(Answer, Dropped), ExchangeError> {
    let parse = move |bytes: &[u8]| {
        let mut dropped = Dropped::default();
        let answer = Answer::parse(kind, bytes, &mut dropped)?;
        Ok((answer, dropped))
    };
    let parsed = match permit {
        None => parse(&bytes),
        // Parsing a large body would block other tasks. The permit is held until it is parsed.
        Some(permit) => {
            let parsing = tokio::task::spawn_blocking(move || {
                let parsed = parse(&bytes);
                drop((bytes, permit));
                parsed
            });
            parsing
                .await
                .map_err(|error| ExchangeError::new(Failure::Bad, error))?
        }
    };
    parsed.map_err(|malformed: Malformed| ExchangeError::new(Failure::Bad, malformed))
}

fn http(to: SocketAddr, request: &Request) -> Result<hyper::Request<Full<Bytes>>, ExchangeError> {
    hyper::Request::put(format!("{PATH_PREFIX}{}", request.kind().name()))
        .header(HOST, to.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header(GOSSIP_HEADER, "1")
        .body(Full::new(Bytes::from(request.body())))
        .map_err(|error| ExchangeError::new(Failure::Bad, error))
}
