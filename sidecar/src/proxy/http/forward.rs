//! Forwards one request: picks an endpoint, takes or makes a connection to it, sends the request, and if the connection ends
//! before the answer, sends it again where that is allowed.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio::time::error::Elapsed;
use tokio::time::timeout_at;

use super::answer::{Cause, answer, grpc_answer, is_grpc};
use super::body::AnswerBody;
use super::client::Client;
use super::exchange::Exchange;
use super::exclusive::Exclusive;
use super::forwarded;
use super::headers;
use super::instance::{Instance, is_broken_off, is_unprocessed};
use super::multiplexed;
use super::replay::RequestBody;
use super::retry::is_idempotent;
use super::source::{Picked, Picker};
use super::target;
use crate::balance::{Lease, Tried};
use crate::proxy::connect::OnFailure;
use crate::proxy::hold::{Backend, Client as Held, Release};

/// Connections that a request is sent on at most. Each but the last had ended when it was, which a new connection has not.
const MAX_SENDINGS: u32 = 3;

/// What hyper is given for a request: there always is an answer.
pub(super) type Answered = Result<Response<AnswerBody>, Infallible>;

/// A request as it is sent. Functions get it by reference: it is large, and each move would copy it.
struct Sending {
    /// `None` while it is on its way.
    request: Option<Request<RequestBody>>,
    version: Version,
    /// It may be sent again although an instance may have acted on it.
    idempotent: bool,
    /// It asks for an upgrade of its connection.
    upgrades: bool,
}

/// Answers a request: with an instance's answer, or with the sidecar's own if there is none.
pub(super) async fn forward(client: Arc<Client>, request: Request<Incoming>) -> Answered {
    let (version, is_grpc) = (request.version(), is_grpc(&request));
    let mut exchange = Exchange::begin(client, &request);
    let outcome = match Sending::new(exchange.client(), request) {
        Ok(mut sending) => match send(&mut exchange, &mut sending).await {
            Ok(answer) => relayed(&mut exchange, answer, sending.upgrades),
            Err(cause) => Err(cause),
        },
        Err(cause) => Err(cause),
    };
    let ends = exchange.client().connection.is_draining();
    let (mut answer, malformed) = match outcome {
        Ok(relayed) => {
            exchange.answered(&relayed);
            let answer = relayed.map(|incoming| AnswerBody::Relayed { incoming, exchange });
            (answer, false)
        }
        Err(cause) => {
            exchange.failed(cause, is_grpc);
            let answer = if is_grpc {
                grpc_answer(cause)
            } else {
                answer(cause)
            };
            (answer, cause == Cause::BadRequest)
        }
    };
    // Where a malformed request ends is not certain.
    if (malformed || ends) && version != Version::HTTP_2 && answer.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

impl Sending {
    /// Makes a client's request one of the sidecar.
    fn new(client: &Client, request: Request<Incoming>) -> Result<Self, Cause> {
        let (mut parts, body) = request.into_parts();
        if parts.version == Version::HTTP_2 && parts.method == Method::CONNECT {
            return Err(Cause::NotSupported);
        }
        let upgrades = headers::strip_request(&mut parts.headers) || parts.method == Method::CONNECT;
        target::normalise(parts.version, &parts.method, &mut parts.uri, &mut parts.headers)
            .map_err(|_| Cause::BadRequest)?;
        let connection = &client.connection;
        if connection.listener().http.forwarded() {
            let authority = parts.uri.authority().map(|authority| authority.as_str());
            forwarded::add(&mut parts.headers, connection.peer().ip(), authority);
        }
        parts.extensions.clear();
        if parts.version == Version::HTTP_10 {
            // A message is of the version of its sender, which is the sidecar now.
            parts.version = Version::HTTP_11;
        }
        let version = parts.version;
        let idempotent = is_idempotent(&parts.method) && !upgrades;
        // Of HTTP/2, instances say which requests they have not acted on.
        let body = RequestBody::new(body, idempotent || version == Version::HTTP_2);
        Ok(Self {
            request: Some(Request::from_parts(parts, body)),
            version,
            idempotent,
            upgrades,
        })
    }
}

/// Makes an instance's answer one of the sidecar.
fn relayed(
    exchange: &mut Exchange,
    mut answer: Response<Incoming>,
    upgrades: bool,
) -> Result<Response<Incoming>, Cause> {
    let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS
        || (upgrades && exchange.is_connect() && answer.status().is_success());
    if switches {
        if !upgrades {
            return Err(Cause::BadAnswer);
        }
        exchange.upgraded(hyper::upgrade::on(&mut answer));
    }
    headers::strip_answer(answer.headers_mut(), switches);
    *answer.version_mut() = Version::HTTP_11;
    Ok(answer)
}

/// Sends a request until an instance answers it.
async fn send(exchange: &mut Exchange, sending: &mut Sending) -> Result<Response<Incoming>, Cause> {
    let version = sending.version;
    let mut deadline = None;
    for attempt in 1..=MAX_SENDINGS {
        let (mut instance, lease, release) = connection(exchange, version, attempt == 1).await?;
        let Some(mut request) = sending.request.take() else {
            break;
        };
        // From here on an instance is to blame.
        deadline = deadline.or_else(|| exchange.deadline());
        if version != Version::HTTP_2
            && !request.headers().contains_key(HOST)
            && let Ok(host) = HeaderValue::try_from(lease.address().to_string())
        {
            // Of HTTP/1.0, which needs none.
            request.headers_mut().insert(HOST, host);
        }
        let again = match attempt {
            MAX_SENDINGS => None,
            _ if sending.idempotent || version == Version::HTTP_2 => copy(&request),
            _ => None,
        };
        let answer = instance.send(request);
        let Ok(sent) = until(deadline, pin!(answer)).await else {
            exchange.failed_at(lease);
            return Err(Cause::RequestTimeout);
        };
        let mut error = match sent {
            Ok(answer) => {
                if let Some(release) = release {
                    release.answered();
                }
                instance.answered(&answer);
                exchange.carried(lease, instance);
                return Ok(answer);
            }
            Err(error) => error,
        };
        let cause = match error.error() {
            _ if lease.is_down() => Cause::InstanceDown,
            error if is_broken_off(error) => return Err(Cause::BadRequest),
            error if error.is_parse() => Cause::BadAnswer,
            _ => Cause::NoAnswer,
        };
        exchange.failed_at(lease);
        sending.request = match (error.take_message(), again) {
            // None of it was written.
            (Some(request), _) => Some(request),
            (None, Some(copy))
                if copy.body().is_whole()
                    && (is_unprocessed(error.error()) || (sending.idempotent && exchange.may_retry())) =>
            {
                Some(copy)
            }
            _ => return Err(cause),
        };
    }
    Err(Cause::NoAnswer)
}

/// Awaits a future until a deadline, if there is one.
async fn until<T>(
    deadline: Option<Instant>,
    future: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline.into(), future).await,
        None => Ok(future.await),
    }
}

/// A copy of a request, of which the body is remembered.
fn copy(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let body = request.body().again()?;
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// What carries a request: its connection and its lease, and whether it was held.
type Carrier = (Instance, Lease, Option<Release>);

/// A connection to the next endpoint: a known one if it may be `reused`, or a new one.
async fn connection(exchange: &Exchange, version: Version, reused: bool) -> Result<Carrier, Cause> {
    let client = exchange.client();
    let listener = client.connection.listener();
    let picker = client.source.picker();
    let peer = client.connection.peer();
    let pick = || picker.pick(peer.ip(), &Tried::new(Instant::now()));
    #[cfg(feature = "failpoints")]
    let pick = || crate::failpoints::endpoint(peer, pick);
    let Some(lease) = pick() else {
        return Box::pin(connect(client, version, picker, None)).await;
    };
    // Boxed, because most requests do not get there.
    if version == Version::HTTP_2 {
        return match multiplexed::stream(listener, &lease).await {
            Ok(stream) => Ok((Instance::Multiplexed(stream), lease, None)),
            Err(_opening) => Box::pin(connect(client, version, picker, Some(lease))).await,
        };
    }
    if reused && let Some(known) = Exclusive::reuse(listener, &lease) {
        return Ok((Instance::Exclusive(known), lease, None));
    }
    Box::pin(connect(client, version, picker, Some(lease))).await
}

async fn connect(
    client: &Arc<Client>,
    version: Version,
    picker: Picker,
    first: Option<Lease>,
) -> Result<Carrier, Cause> {
    let listener = client.connection.listener();
    let held = Held {
        stream: None,
        ip: client.connection.peer().ip(),
        initial: &[],
        silent: false,
    };
    let picked = Picked::new(picker, first);
    let on_failure = OnFailure::TryNext;
    #[cfg(feature = "failpoints")]
    let on_failure = crate::failpoints::on_connect_failure(on_failure);
    let connecting = listener.held.connect(&picked, held, listener.hold(), on_failure);
    let (connected, release) = connecting.await.map_err(|error| Cause::from(&error))?;
    let lease = connected.lease.ok_or(Cause::NoInstance)?;
    let opened = match version {
        Version::HTTP_2 => multiplexed::Stream::open(listener, &lease, connected.stream)
            .await
            .map(Instance::Multiplexed),
        _ => Exclusive::open(listener, &lease, connected.stream)
            .await
            .map(Instance::Exclusive),
    };
    Ok((opened.map_err(|_| Cause::NoAnswer)?, lease, release))
}
