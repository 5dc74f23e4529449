//! One HTTP request on a connection of its own: what a user's `curl` does.

mod session;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::http::request::Builder;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub use session::Session;

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
    send(address, Request::get(target), Bytes::new(), limit).await
}

/// Sends `DELETE target` to `address` and reads the answer, all within `limit`.
///
/// # Errors
/// As [`get`].
pub async fn delete(address: SocketAddr, target: &str, limit: Duration) -> Result<Response, HttpError> {
    send(address, Request::delete(target), Bytes::new(), limit).await
}

/// Sends `POST target` with a JSON text to `address`, bearing `token`, and reads the answer, all within `limit`.
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
    let request = Request::post(target)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    send(address, request, json.into(), limit).await
}

async fn send(
    address: SocketAddr,
    request: Builder,
    body: Bytes,
    limit: Duration,
) -> Result<Response, HttpError> {
    tokio::time::timeout(limit, exchange(address, request, body))
        .await
        .unwrap_or(Err(HttpError::Timeout(address, limit)))
}

/// A request of which all but the end is sent: it is under way for as long as one wants.
#[derive(Debug)]
pub struct Begun {
    address: SocketAddr,
    stream: TcpStream,
}

/// Connects to `address` and sends `GET target` but for the line that ends it, all within `limit`.
///
/// # Errors
/// No connection, it broke, or not in time.
pub async fn begin(address: SocketAddr, target: &str, limit: Duration) -> Result<Begun, HttpError> {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let sending = async {
        let mut stream = TcpStream::connect(address)
            .await
            .map_err(|error| HttpError::Connect(address, error))?;
        let sent = stream.write_all(head.as_bytes()).await;
        sent.map_err(|error| HttpError::Answer(address, error.to_string()))?;
        Ok(Begun { address, stream })
    };
    tokio::time::timeout(limit, sending)
        .await
        .unwrap_or(Err(HttpError::Timeout(address, limit)))
}

impl Begun {
    /// Sends the request's end and reads the answer until the server closes, all within `limit`.
    ///
    /// # Errors
    /// The connection broke, the answer is no HTTP, or not in time.
    pub async fn finish(mut self, limit: Duration) -> Result<Response, HttpError> {
        let failed = |reason: String| HttpError::Answer(self.address, reason);
        let exchanging = async {
            self.stream.write_all(b"\r\n").await?;
            let mut answer = Vec::new();
            let most = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
            (&mut self.stream).take(most).read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = tokio::time::timeout(limit, exchanging)
            .await
            .map_err(|_| HttpError::Timeout(self.address, limit))?
            .map_err(|error| failed(error.to_string()))?;
        parse(&answer).ok_or_else(|| failed(format!("{:?}", String::from_utf8_lossy(&answer))))
    }
}

/// An answer whose body is as long as it says.
fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (
        std::str::from_utf8(answer.get(..end)?).ok()?,
        answer.get(end + 4..)?,
    );
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    })?;
    (length.parse() == Ok(body.len())).then(|| Response {
        status,
        body: Bytes::copy_from_slice(body),
    })
}

async fn exchange(address: SocketAddr, request: Builder, body: Bytes) -> Result<Response, HttpError> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| HttpError::Connect(address, error))?;
    let failed = |error: &dyn std::fmt::Display| HttpError::Answer(address, error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let request = request
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Full::new(body))
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_begun_request_is_whole_once_it_is_finished() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let begun = begin(address, "/page", LIMIT).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"close\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let serving = async {
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
            stream.write_all(answer).await.unwrap();
            drop(stream);
            String::from_utf8(request).unwrap()
        };
        let (request, response) = tokio::join!(serving, begun.finish(LIMIT));
        assert!(request.starts_with("GET /page HTTP/1.1\r\n"), "{request}");
        let body = Bytes::from_static(b"yes");
        assert_eq!(response.unwrap(), Response { status: 200, body });
    }

    #[tokio::test]
    async fn a_posted_text_arrives_with_its_token() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            String::from_utf8(request).unwrap().to_lowercase()
        };
        let posted = post(address, "/door", "secret", "{}".to_owned(), LIMIT);
        let (request, response) = tokio::join!(serving, posted);
        assert_eq!(response.unwrap().status, 204);
        assert!(request.starts_with("post /door http/1.1\r\n"), "{request}");
        for header in ["authorization: bearer secret\r\n", "content-length: 2\r\n"] {
            assert!(request.contains(header), "{request}");
        }
    }

    #[test]
    fn an_answer_that_was_cut_off_is_none() {
        let whole = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\nbody";
        assert_eq!(parse(whole.as_bytes()).map(|answer| answer.status), Some(502));
        for cut in [
            "",
            &whole[..whole.len() - 1],
            &whole[..30],
            "HTTP/1.1 200 OK\r\n\r\nbody",
            "nonsense\r\n\r\n",
        ] {
            assert_eq!(parse(cut.as_bytes()), None, "{cut:?}");
        }
    }
}
