//! The HTTP client: one request per connection, as `curl` does, or requests on a connection that is kept ([`Session`]).
//! It does not retry, because a retry would hide the failure that a scenario must detect.

mod connection;
mod held;
mod session;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::http::request::Builder;
use hyper::{Request, header};
use tokio::net::TcpStream;

use connection::Connection;
pub use held::HeldRequest;
pub use session::{Session, Version};

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
        let mut connection = Connection::open(address, Version::Http1).await?;
        Ok(connection.send(request, body).await?)
    })
    .await
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

#[cfg(test)]
mod tests;
