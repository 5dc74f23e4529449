//! One HTTP request on a connection of its own: what a user's `curl` does.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The largest body that is read; a mesh's view of itself is far below it.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection could be made.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, #[source] std::io::Error),
    /// The connection ended before the answer did, or the answer was no HTTP.
    #[error("no whole answer from {0}: {1}")]
    Answer(SocketAddr, String),
    /// There was no answer in time.
    #[error("no answer from {0} within {1:?}")]
    Timeout(SocketAddr, Duration),
}

/// Sends `GET target` to `address` and reads the answer, all within `limit`.
///
/// # Errors
/// No connection, no whole answer, or not in time. A status code is an answer, whichever it is.
pub async fn get(address: SocketAddr, target: &str, limit: Duration) -> Result<Response, HttpError> {
    tokio::time::timeout(limit, exchange(address, target))
        .await
        .unwrap_or(Err(HttpError::Timeout(address, limit)))
}

async fn exchange(address: SocketAddr, target: &str) -> Result<Response, HttpError> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| HttpError::Connect(address, error))?;
    let failed = |error: &dyn std::fmt::Display| HttpError::Answer(address, error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let request = Request::get(target)
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok(Response {
            status,
            body: body.map_err(|error| failed(&error))?.to_bytes(),
        })
    };
    // The connection is driven here, not in a task, so that it ends when the request does.
    tokio::pin!(connection, answer);
    tokio::select! {
        result = &mut answer => result,
        _ = &mut connection => answer.await,
    }
}
