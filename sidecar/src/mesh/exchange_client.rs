//! Asks another node: one HTTP/1.1 request on a connection of its own.
//!
//! A new connection each time: a dead program's kernel then says so at once.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use super::exchange_server::MAX_BODY;
use super::protocol::Failure;
use super::wire::{Answer, PATH_PREFIX, Request};

const AGENT: &str = concat!("sidecar/", env!("CARGO_PKG_VERSION"));

/// Makes one exchange, from the node's own address so that the other knows who speaks.
pub(super) async fn exchange(
    own: IpAddr,
    to: SocketAddr,
    request: Request,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let kind = request.kind();
    let outcome = match tokio::time::timeout(timeout, ask(own, to, &request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::new(Failure::Timeout, "no answer in time")),
    };
    let answer = outcome.and_then(|body| {
        Answer::parse(kind, &body).map_err(|malformed| Trouble::new(Failure::Bad, malformed))
    });
    answer.map_err(|Trouble { failure, cause }| {
        tracing::debug!(%to, kind = kind.name(), ?failure, cause, "exchange failed");
        failure
    })
}

struct Trouble {
    failure: Failure,
    cause: Box<dyn Error + Send + Sync>,
}

impl Trouble {
    fn new(failure: Failure, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            failure,
            cause: cause.into(),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::new(failure_of(&error), error)
    }
}

impl From<hyper::Error> for Trouble {
    fn from(error: hyper::Error) -> Self {
        let io = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        let gone = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        let failure = match io {
            Some(io) => failure_of(io),
            None if gone => Failure::Refused,
            None => Failure::Bad,
        };
        Self::new(failure, error)
    }
}

fn failure_of(error: &io::Error) -> Failure {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable => Failure::Refused,
        ErrorKind::TimedOut => Failure::Timeout,
        _ => Failure::Bad,
    }
}

async fn connect(own: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if own.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.bind(SocketAddr::new(own, 0))?;
    socket.connect(to).await
}

/// The body of a successful answer.
async fn ask(own: IpAddr, to: SocketAddr, request: &Request) -> Result<Bytes, Trouble> {
    let http = hyper::Request::put(format!("{PATH_PREFIX}{}", request.kind().name()))
        .header(HOST, to.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(request.body())))
        .map_err(|error| Trouble::new(Failure::Bad, error))?;
    let stream = connect(own, to).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut answer = pin!(async {
        let answer = sender.send_request(http).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Trouble::new(Failure::Bad, format!("status {status}")));
        }
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        match body {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(match error.downcast::<hyper::Error>() {
                Ok(error) => (*error).into(),
                Err(too_long) => Trouble::new(Failure::Bad, too_long),
            }),
        }
    });
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // The connection may end before its last bytes are read.
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
