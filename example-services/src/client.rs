//! The HTTP client: requests on a connection, one after the other.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
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

/// A request for `path` at `host`. A body is sent as JSON.
pub(crate) fn request(
    method: Method,
    path: &str,
    host: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Error> {
    let request = Request::builder().method(method).uri(path).header(HOST, host);
    let request = if body.is_empty() {
        request
    } else {
        request.header(CONTENT_TYPE, "application/json")
    };
    Ok(request.body(Full::new(body))?)
}

/// Sends `request` on a connection of its own, which it asks the server to close, and reads the whole response, with a body of at
/// most [`MAX_BODY`] bytes. It has no timeout: the caller can drop the future, which closes the connection.
pub(crate) async fn exchange<S>(
    stream: S,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    request
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    let mut connection = Connection::over(stream).await?;
    let sent = connection.send(request).await;
    sent.map_err(|failed| failed.error)
}

/// A connection that carries requests one after the other. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<hyper::Result<()>>,
}

/// A request that has no response.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Why.
    pub(crate) error: Error,
    /// The request, if none of it was sent.
    pub(crate) unsent: Option<Request<Full<Bytes>>>,
}

impl Failed {
    fn sent(error: Error) -> Self {
        Self { error, unsent: None }
    }
}

impl Connection {
    /// A connection over an established stream.
    pub(crate) async fn over<S>(stream: S) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_BODY)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self {
            sender,
            _driver: AbortOnDropHandle::new(tokio::spawn(connection)),
        })
    }

    /// Sends `request` and reads the whole response, with a body of at most [`MAX_BODY`] bytes.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failed> {
        let sent = self.sender.try_send_request(request).await;
        let (head, body) = sent
            .map_err(|mut failed| Failed {
                unsent: failed.take_message(),
                error: failed.into_error().into(),
            })?
            .into_parts();
        match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(Failed::sent(Error::TooLong)),
            Err(error) => Err(Failed::sent(Error::Body(error))),
        }
    }

    /// Waits until it can carry the next request. `false` if the server has closed it.
    pub(crate) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}
