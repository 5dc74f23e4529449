//! The HTTP client: one request per connection.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

/// Maximum length of a body, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// Why a request has no valid response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path, host or header is not valid HTTP.
    #[error("the request is not valid HTTP")]
    Request(#[from] hyper::http::Error),
    /// The connection broke, or the answer is not HTTP.
    #[error("no complete HTTP response")]
    Http(#[from] hyper::Error),
    /// The connection broke within the body.
    #[error("the response's body is incomplete")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The body exceeds [`MAX_BODY`].
    #[error("the response's body is longer than {MAX_BODY} bytes")]
    TooLong,
}

/// A request for `path` at `host` that asks to close the connection after the response. A body is sent as JSON.
pub(crate) fn request(
    method: Method,
    path: &str,
    host: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Error> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(CONNECTION, "close");
    let request = if body.is_empty() {
        request
    } else {
        request.header(CONTENT_TYPE, "application/json")
    };
    Ok(request.body(Full::new(body))?)
}

/// Sends `request` and reads the whole response, with a body of at most [`MAX_BODY`] bytes. It has no timeout: the
/// caller can drop the future, which closes the connection.
pub(crate) async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_BODY)
        .handshake(TokioIo::new(stream))
        .await?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, body) = sender.send_request(request).await?.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLong),
        Err(error) => Err(Error::Body(error)),
    }
}
