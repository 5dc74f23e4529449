//! Answers other nodes: HTTP/1.1 on the node's TCP port (discovery protocol: node exchange, service
//! exchange).
//!
//! A connection without a request is a check of the original: it stays open until the peer closes it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::counters::Counters;
use super::wire::{Answer, ExchangeKind, PATH_PREFIX, Request};

/// The longest body that is read, in bytes.
pub const MAX_BODY: usize = 4 << 20;
/// The most connections at a time.
const MAX_CONNECTIONS: usize = 512;
/// The most of them from one address, at which several nodes may live that keep one each.
const MAX_CONNECTIONS_EACH: usize = 64;
/// How long a connection may take to say what it wants, and again to say it whole.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADER: usize = 16 << 10;

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
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

type Answered = Response<Full<Bytes>>;

impl ExchangeServer {
    /// Serves until stopped.
    pub(super) async fn run(self, listener: TcpListener) {
        let server = Arc::new(self);
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let each = Arc::new(PerAddress::default());
        let accept = async {
            loop {
                let Ok(permit) = connections.clone().acquire_owned().await else {
                    return;
                };
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, most likely: give others time to close some.
                        tracing::warn!(%error, "exchange server: cannot accept");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let Some(place) = each.clone().enter(peer.ip()) else {
                    tracing::debug!(%peer, "exchange server: too many connections from this address");
                    continue;
                };
                let server_of_one = server.clone();
                server.tasks.spawn(async move {
                    server_of_one.connection(stream, peer.ip()).await;
                    drop((permit, place));
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = server.stop.cancelled() => {}
        }
    }

    async fn connection(&self, stream: TcpStream, from: IpAddr) {
        let service =
            service_fn(|request| async move { Ok::<_, Infallible>(self.serve(from, request).await) });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_TIMEOUT)
            .max_buf_size(MAX_HEADER)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%from, %error, "exchange connection ended");
                }
            }
            () = self.stop.cancelled() => {}
        }
    }

    async fn serve(&self, from: IpAddr, request: hyper::Request<Incoming>) -> Answered {
        let answer = match read(request).await {
            Ok(request) => self.ask(from, request).await,
            Err(rejected) => Err(rejected),
        };
        answer.unwrap_or_else(|(status, message)| {
            self.counters.count_rejected();
            tracing::debug!(%from, %status, message, "exchange rejected");
            let body = json!({ "code": status.as_u16(), "message": message });
            response(status, Some(body.to_string().into_bytes()))
        })
    }

    async fn ask(&self, from: IpAddr, request: Request) -> Result<Answered, (StatusCode, String)> {
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
            Some(body) => response(StatusCode::OK, Some(body)),
            None => response(StatusCode::NO_CONTENT, None),
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
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = match tokio::time::timeout(READ_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return Err(bad(format!("body: {error}"))),
        Err(_) => {
            return Err((
                StatusCode::REQUEST_TIMEOUT,
                "body: not complete in time".to_owned(),
            ));
        }
    };
    Request::parse(kind, &body).map_err(|malformed| bad(malformed.to_string()))
}

fn response(status: StatusCode, body: Option<Vec<u8>>) -> Answered {
    let json = body.is_some();
    let mut response = Response::new(Full::new(Bytes::from(body.unwrap_or_default())));
    *response.status_mut() = status;
    if json {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response
}

/// Connections per address.
#[derive(Default)]
struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

/// One connection's place; given back when dropped.
struct Place {
    all: Arc<PerAddress>,
    address: IpAddr,
}

impl PerAddress {
    fn enter(self: Arc<Self>, address: IpAddr) -> Option<Place> {
        {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = all.entry(address).or_default();
            if *count >= MAX_CONNECTIONS_EACH {
                return None;
            }
            *count += 1;
        }
        Some(Place { all: self, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}
