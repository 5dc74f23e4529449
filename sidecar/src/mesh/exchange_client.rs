//! Makes an exchange: one HTTP/1.1 request, on a kept connection or on a new one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};

use super::connection::{AnswerBody, Connection, ExchangeError};
use super::counters::Counters;
use super::exchange_server::LEAVING;
use super::key::envelope::EXCHANGE_OVERHEAD;
use super::key::{Asking, MeshKey, Refusal, SEALED_TYPE};
use super::large_bodies::LargeBodies;
use super::protocol::Failure;
use super::wire::{Answer, Dropped, ExchangeKind, GOSSIP_HEADER, Malformed, PATH_PREFIX, Request};

const AGENT: &str = concat!("sidecar/", env!("CARGO_PKG_VERSION"));

/// Challenges that are answered for one exchange. The first is usual after a restart of either node; another follows only if
/// messages overtake each other.
const MAX_CHALLENGES: usize = 2;

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

/// What every exchange of a node needs.
pub(super) struct Context {
    /// The node's own endpoint. Connections come from its address, by which the peer recognises the node.
    pub(super) own: SocketAddr,
    pub(super) key: Option<Arc<MeshKey>>,
    pub(super) large: Arc<LargeBodies>,
    pub(super) counters: Arc<Counters>,
}

/// Makes one exchange.
pub(super) async fn exchange(
    to: SocketAddr,
    request: Request,
    timeout: Duration,
    kept: Option<Connection>,
    context: &Context,
) -> Ended {
    let kind = request.kind();
    let answer = match tokio::time::timeout(timeout, ask(to, &request, kept, context)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ExchangeError::new(Failure::Timeout, "no answer in time")),
    };
    match answer {
        Ok((
            Answered {
                answer,
                dropped,
                gossips,
            },
            connection,
        )) => {
            context.counters.note_unusable(to.ip(), &dropped);
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

/// A peer's answer.
struct Answered {
    answer: Answer,
    /// What was left out of it.
    dropped: Dropped,
    /// Whether the peer gossips.
    gossips: bool,
}

/// The answer, and the connection.
async fn ask(
    to: SocketAddr,
    request: &Request,
    kept: Option<Connection>,
    context: &Context,
) -> Result<(Answered, Connection), ExchangeError> {
    if let Some(mut connection) = kept {
        match ask_on(&mut connection, to, request, context).await {
            Ok(answered) => return Ok((answered, connection)),
            // The peer had closed it since its last use. Every request may be repeated, and only a new connection
            // shows whether the peer is there.
            Err(error) if error.failure == Failure::Refused => {}
            Err(error) => return Err(error),
        }
    }
    let mut connection = Connection::open(context.own.ip(), to).await?;
    let answered = ask_on(&mut connection, to, request, context).await?;
    Ok((answered, connection))
}

/// Makes a request on a connection. With a key, answers the peer's challenges.
async fn ask_on(
    connection: &mut Connection,
    to: SocketAddr,
    request: &Request,
    context: &Context,
) -> Result<Answered, ExchangeError> {
    let kind = request.kind();
    let max_body = kind.max_body() + EXCHANGE_OVERHEAD;
    let key = context.key.as_ref();
    let mut asking = key.map(|key| key.ask(context.own, to, path(kind)));
    let plain = Bytes::from(request.body());
    for _ in 0..=MAX_CHALLENGES {
        let request = http(to, kind, &plain, asking.as_mut())?;
        let body = connection.ask(request, to.ip(), max_body, &context.large).await?;
        if body.status == LEAVING {
            let is_leaving = match &asking {
                Some(asking) => asking.leaving(&body.bytes),
                None => body.gossips,
            };
            let failure = if is_leaving {
                Failure::Leaving
            } else {
                Failure::Bad
            };
            return Err(ExchangeError::new(failure, "the node leaves"));
        }
        if body.status != StatusCode::TOO_EARLY {
            return read(kind, to, body, asking, &context.counters).await;
        }
        if !asking
            .as_mut()
            .is_some_and(|asking| asking.challenge(&body.bytes))
        {
            return Err(ExchangeError::new(
                Failure::Bad,
                "a challenge that is not sealed with the mesh key",
            ));
        }
    }
    Err(ExchangeError::new(Failure::Bad, "one challenge after the other"))
}

async fn read(
    kind: ExchangeKind,
    to: SocketAddr,
    AnswerBody {
        bytes,
        permit,
        gossips,
        ..
    }: AnswerBody,
    asking: Option<Asking>,
    counters: &Counters,
) -> Result<Answered, ExchangeError> {
    // Only nodes that gossip have a key. The header is not authenticated.
    let gossips = gossips || asking.is_some();
    let parse = move |bytes: &[u8]| {
        let opened = match &asking {
            Some(asking) => Some(
                asking
                    .answer(bytes)
                    .ok_or(Unreadable::NotOpened(Refusal::of_unopened(bytes)))?,
            ),
            None => None,
        };
        let mut dropped = Dropped::default();
        let answer = Answer::parse(kind, opened.as_deref().unwrap_or(bytes), &mut dropped)?;
        Ok(Answered {
            answer,
            dropped,
            gossips,
        })
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
    parsed.map_err(|unreadable| {
        if let Unreadable::NotOpened(why) = unreadable {
            counters.refusals.note(to.ip(), why);
        }
        ExchangeError::new(Failure::Bad, unreadable)
    })
}

/// Why the body of an answer cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("an answer that no mesh key opens")]
    NotOpened(Refusal),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

fn path(kind: ExchangeKind) -> String {
    format!("{PATH_PREFIX}{}", kind.name())
}

fn http(
    to: SocketAddr,
    kind: ExchangeKind,
    plain: &Bytes,
    asking: Option<&mut Asking>,
) -> Result<hyper::Request<Full<Bytes>>, ExchangeError> {
    let (content_type, body) = match asking {
        Some(asking) => (SEALED_TYPE, asking.request(plain).into()),
        None => ("application/json", plain.clone()),
    };
    hyper::Request::put(path(kind))
        .header(HOST, to.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, content_type)
        .header(GOSSIP_HEADER, "1")
        .body(Full::new(body))
        .map_err(|error| ExchangeError::new(Failure::Bad, error))
}
