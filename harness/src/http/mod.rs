//! The HTTP/1.1 client: one request per connection, as `curl` does, or consecutive requests on one ([`Session`]).
//! It does not retry, because a retry would hide the failure that a scenario must detect.

mod held;

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::request::Builder;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

pub use held::HeldRequest;

/// Size limit of a response's body, in bytes; the view of a mesh is much smaller.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection failed; the source shows whether it was refused.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, #[source] std::io::Error),
    /// The connection ended before the response did, or the response is malformed or too large.
    #[error("no complete response from {0}: {1}")]
    Answer(SocketAddr, String),
    /// The response was not complete in time.
    #[error("no response from {0} within {1:?}")]
    Timeout(SocketAddr, Duration),
}

/// Sends `GET target` to `address` and reads the response. `limit` includes the time to connect.
///
/// # Errors
/// See [`HttpError`]. A response with any status code is not an error.
pub async fn get(address: SocketAddr, target: &str, limit: Duration) -> Result<Response, HttpError> {
    send(address, Request::get(target), Bytes::new(), limit).await
}

/// As [`get`], with a bearer token.
///
/// # Errors
/// As [`get`].
pub async fn get_as(
    token: &str,
    address: SocketAddr,
    target: &str,
    limit: Duration,
) -> Result<Response, HttpError> {
    send(
        address,
        with_token(Request::get(target), token),
        Bytes::new(),
        limit,
    )
    .await
}

/// Sends `DELETE target` with a bearer token to `address` and reads the response, as [`get`] does.
///
/// # Errors
/// As [`get`].
pub async fn delete(
    address: SocketAddr,
    target: &str,
    token: &str,
    limit: Duration,
) -> Result<Response, HttpError> {
    let request = with_token(Request::delete(target), token);
    send(address, request, Bytes::new(), limit).await
}

/// Sends `POST target` with a JSON body and a bearer token to `address` and reads the response, as [`get`] does.
///
/// # Errors
/// As [`get`].
pub async fn post(
    address: SocketAddr,
    target: &str,
    token: &str,
    json: String,
    limit: Duration,
) -> Result<Response, HttpError> {
    let request = with_token(Request::post(target), token).header(header::CONTENT_TYPE, "application/json");
    send(address, request, json.into(), limit).await
}

fn with_token(request: Builder, token: &str) -> Builder {
    request.header(header::AUTHORIZATION, format!("Bearer {token}"))
}

impl HttpError {
    /// What happened, without the address, for a message that names the server otherwise.
    pub fn cause(&self) -> String {
        match self {
            Self::Connect(_, error) => error.kind().to_string(),
            Self::Answer(_, why) => why.clone(),
            Self::Timeout(_, limit) => format!("no response within {limit:?}"),
        }
    }
}

async fn send(
    address: SocketAddr,
    request: Builder,
    body: Bytes,
    limit: Duration,
) -> Result<Response, HttpError> {
    let request = request.header(header::CONNECTION, "close");
    within(limit, address, async {
        Connection::open(address).await?.send(request, body).await
    })
    .await
}

/// Consecutive requests on one connection, which costs the server less than a connection for each.
#[derive(Debug)]
pub struct Session {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Session {
    /// A session with the server at `address`; the first request connects.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Sends `GET target` and reads the response within `limit`. After a failure the next request connects again.
    ///
    /// # Errors
    /// As [`get`].
    pub async fn get(&mut self, target: &str, limit: Duration) -> Result<Response, HttpError> {
        // Taken out, so that the connection is closed if the request fails or its future is dropped.
        let kept = self.connection.take();
        let exchange = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => Connection::open(self.address).await?,
            };
            let response = connection.send(Request::get(target), Bytes::new()).await?;
            Ok((connection, response))
        };
        let (connection, response) = within(limit, self.address, exchange).await?;
        self.connection = Some(connection);
        Ok(response)
    }
}

/// An open connection; dropping it closes it.
#[derive(Debug)]
struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    /// The task that drives the connection.
    _driver: AbortOnDropHandle<hyper::Result<()>>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, HttpError> {
        Self::over(address, connect(address).await?).await
    }

    async fn over(
        address: SocketAddr,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, HttpError> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken(address))?;
        Ok(Self {
            address,
            sender,
            _driver: AbortOnDropHandle::new(tokio::spawn(connection)),
        })
    }

    async fn send(&mut self, request: Builder, body: Bytes) -> Result<Response, HttpError> {
        let address = self.address;
        let request = request
            .header(header::HOST, address.to_string())
            .body(Full::new(body))
            .map_err(failed(address))?;
        self.sender.ready().await.map_err(broken(address))?;
        let sent = self.sender.send_request(request).await;
        let response = sent.map_err(broken(address))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok(Response {
            status,
            body: body.map_err(failed(address))?.to_bytes(),
        })
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, HttpError> {
    let connected = TcpStream::connect(address).await;
    connected.map_err(|error| HttpError::Connect(address, error))
}

async fn within<T>(
    limit: Duration,
    address: SocketAddr,
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(HttpError::Timeout(address, limit)))
}

fn failed<E: std::fmt::Display>(address: SocketAddr) -> impl Fn(E) -> HttpError {
    move |error| HttpError::Answer(address, error.to_string())
}

/// As [`failed`]. A request of a connection that the server closed is cancelled, in hyper's words.
fn broken(address: SocketAddr) -> impl Fn(hyper::Error) -> HttpError {
    move |error| {
        let why = match error.source() {
            _ if error.is_canceled() || error.is_incomplete_message() => {
                "the connection was closed".to_owned()
            }
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        HttpError::Answer(address, why)
    }
}

#[cfg(test)]
mod tests;
