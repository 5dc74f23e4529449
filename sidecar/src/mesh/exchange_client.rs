//! Asks another node: one HTTP/1.1 request, on the connection kept from the last one or on a new one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};

use super::connection::{AnswerBody, Connection, Trouble};
use super::large_bodies::LargeBodies;
use super::protocol::Failure;
use super::wire::{Answer, ExchangeKind, GOSSIP_HEADER, PATH_PREFIX, Request};

const AGENT: &str = concat!("sidecar/", env!("CARGO_PKG_VERSION"));

/// How an exchange ended.
pub(super) struct Ended {
    pub(super) outcome: Result<Answer, Failure>,
    /// Whether the other said that it gossips.
    pub(super) gossips: bool,
    /// Where it can be used again.
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

/// Makes one exchange. Gives the connection back where it can be used again.
pub(super) async fn exchange(
    own: IpAddr,
    to: SocketAddr,
    request: Request,
    timeout: Duration,
    kept: Option<Connection>,
    large: &LargeBodies,
) -> Ended {
    let kind = request.kind();
    let answer = match tokio::time::timeout(timeout, ask(own, to, &request, kept, large)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::new(Failure::Timeout, "no answer in time")),
    };
    match answer {
        Ok((answer, gossips, connection)) => Ended {
            outcome: Ok(answer),
            gossips,
            connection: Some(connection).filter(|it| !it.is_over()),
        },
        Err(Trouble { failure, cause }) => {
            tracing::debug!(%to, kind = kind.name(), ?failure, cause, "exchange failed");
            Ended::failed(failure)
        }
    }
}

/// The answer, whether the other gossips, and the connection that it came on.
async fn ask(
    own: IpAddr,
    to: SocketAddr,
    request: &Request,
    kept: Option<Connection>,
    large: &LargeBodies,
) -> Result<(Answer, bool, Connection), Trouble> {
    let kind = request.kind();
    if let Some(mut connection) = kept {
        match connection
            .ask(http(to, request)?, to.ip(), kind.max_body(), large)
            .await
        {
            Ok(body) => {
                let gossips = body.gossips;
                return Ok((read(kind, body).await?, gossips, connection));
            }
            // Closed since it was last used. Every request may be made twice, and only a new connection
            // tells whether anybody is there.
            Err(trouble) if trouble.failure == Failure::Refused => {}
            Err(trouble) => return Err(trouble),
        }
    }
    let mut connection = Connection::open(own, to).await?;
    let body = connection
        .ask(http(to, request)?, to.ip(), kind.max_body(), large)
        .await?;
    let gossips = body.gossips;
    Ok((read(kind, body).await?, gossips, connection))
}

async fn read(kind: ExchangeKind, AnswerBody { bytes, turn, .. }: AnswerBody) -> Result<Answer, Trouble> {
    let parsed = match turn {
        None => Answer::parse(kind, &bytes),
        // Other tasks must not wait until so much is read, and the turn is not over before it is.
        Some(turn) => {
            let parsing = tokio::task::spawn_blocking(move || {
                let parsed = Answer::parse(kind, &bytes);
                drop((bytes, turn));
                parsed
            });
            parsing.await.map_err(|error| Trouble::new(Failure::Bad, error))?
        }
    };
    parsed.map_err(|malformed| Trouble::new(Failure::Bad, malformed))
}

fn http(to: SocketAddr, request: &Request) -> Result<hyper::Request<Full<Bytes>>, Trouble> {
    hyper::Request::put(format!("{PATH_PREFIX}{}", request.kind().name()))
        .header(HOST, to.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header(GOSSIP_HEADER, "1")
        .body(Full::new(Bytes::from(request.body())))
        .map_err(|error| Trouble::new(Failure::Bad, error))
}
