//! An open connection of either version of HTTP.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper::http::request::Builder;
use hyper::{Request, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

use super::session::Version;
use super::{HttpError, MAX_BODY, Response, connect, failed};

/// An open connection; dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    address: SocketAddr,
    sender: Sender,
    /// The task that drives the connection.
    driver: Arc<AbortOnDropHandle<hyper::Result<()>>>,
}

#[derive(Debug)]
enum Sender {
    /// For one request at a time.
    Http1(http1::SendRequest<Full<Bytes>>),
    /// For many.
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Why a request on a connection has no response.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection ended, and the server has not acted on the request.
    Unsent(HttpError),
    /// Any other reason.
    Sent(HttpError),
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsent(error) | Failure::Sent(error) => error,
        }
    }
}

impl Connection {
    pub(super) async fn open(address: SocketAddr, version: Version) -> Result<Self, HttpError> {
        Self::over(address, connect(address).await?, version).await
    }

    pub(super) async fn over(
        address: SocketAddr,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        version: Version,
    ) -> Result<Self, HttpError> {
        let stream = TokioIo::new(stream);
        let (sender, driver) = match version {
            Version::Http1 => {
                let shaken = http1::handshake(stream).await;
                let (sender, connection) = shaken.map_err(broken(address))?;
                (Sender::Http1(sender), tokio::spawn(connection))
            }
            Version::Http2 => {
                let shaken = http2::handshake(TokioExecutor::new(), stream).await;
                let (sender, connection) = shaken.map_err(broken(address))?;
                (Sender::Http2(sender), tokio::spawn(connection))
            }
        };
        Ok(Self {
            address,
            sender,
            driver: Arc::new(AbortOnDropHandle::new(driver)),
        })
    }

    /// Another handle to it, if it can carry several requests at a time.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                address: self.address,
                sender: Sender::Http2(sender.clone()),
                driver: Arc::clone(&self.driver),
            }),
        }
    }

    /// Whether it is known to have ended.
    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// Sends `GET target` and reads the response.
    pub(super) async fn get(&mut self, target: &str) -> Result<Response, Failure> {
        let request = match self.sender {
            Sender::Http1(_) => Request::get(target),
            Sender::Http2(_) => Request::get(format!("http://{}{target}", self.address)),
        };
        self.send(request, Bytes::new()).await
    }

    /// Sends a request and reads the response.
    pub(super) async fn send(&mut self, request: Builder, body: Bytes) -> Result<Response, Failure> {
        let address = self.address;
        let request = match self.sender {
            Sender::Http1(_) => request.header(header::HOST, address.to_string()),
            // Its address is in the URI.
            Sender::Http2(_) => request,
        };
        let failed = |error: &dyn std::fmt::Display| Failure::Sent(failed(address)(error));
        let request = request.body(Full::new(body)).map_err(|error| failed(&error))?;
        let unsent = |error| Failure::Unsent(broken(address)(error));
        let sent = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(unsent)?;
                sender.try_send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(unsent)?;
                sender.try_send_request(request).await
            }
        };
        let response = sent.map_err(|mut error| {
            let unsent = error.take_message().is_some() || is_unprocessed(error.error());
            let error = broken(address)(error.into_error());
            if unsent {
                Failure::Unsent(error)
            } else {
                Failure::Sent(error)
            }
        })?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok(Response {
            status,
            body: body.map_err(|error| failed(&error))?.to_bytes(),
        })
    }
}

/// Whether an error says that the server has not acted on the request, because it goes away (RFC 9113, section 6.8).
fn is_unprocessed(error: &hyper::Error) -> bool {
    let error = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        error.is_remote() && error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
    })
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
