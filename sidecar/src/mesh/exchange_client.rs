//! Asks another node: one HTTP/1.1 request, on the connection kept from the last one or on a new one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};

use super::connection::{Connection, Trouble};
use super::protocol::Failure;
use super::wire::{Answer, PATH_PREFIX, Request};

const AGENT: &str = concat!("sidecar/", env!("CARGO_PKG_VERSION"));

/// Makes one exchange. Gives the connection back where it can be used again.
pub(super) async fn exchange(
    own: IpAddr,
    to: SocketAddr,
    request: Request,
    timeout: Duration,
    kept: Option<Connection>,
) -> (Result<Answer, Failure>, Option<Connection>) {
    let kind = request.kind();
    let outcome = match tokio::time::timeout(timeout, ask(own, to, &request, kept)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::new(Failure::Timeout, "no answer in time")),
    };
    let answer = outcome.and_then(|(body, connection)| {
        let answer = Answer::parse(kind, &body).map_err(|malformed| Trouble::new(Failure::Bad, malformed))?;
        Ok((answer, connection))
    });
    match answer {
        Ok((answer, connection)) => (Ok(answer), Some(connection).filter(|it| !it.is_over())),
        Err(Trouble { failure, cause }) => {
            tracing::debug!(%to, kind = kind.name(), ?failure, cause, "exchange failed");
            (Err(failure), None)
        }
    }
}

/// The body of a successful answer, and the connection that it came on.
async fn ask(
    own: IpAddr,
    to: SocketAddr,
    request: &Request,
    kept: Option<Connection>,
) -> Result<(Bytes, Connection), Trouble> {
    if let Some(mut connection) = kept {
        match connection.ask(http(to, request)?).await {
            Ok(body) => return Ok((body, connection)),
            // Closed since it was last used. Every request may be made twice, and only a new connection
            // tells whether anybody is there.
            Err(trouble) if trouble.failure == Failure::Refused => {}
            Err(trouble) => return Err(trouble),
        }
    }
    let mut connection = Connection::open(own, to).await?;
    let body = connection.ask(http(to, request)?).await?;
    Ok((body, connection))
}

fn http(to: SocketAddr, request: &Request) -> Result<hyper::Request<Full<Bytes>>, Trouble> {
    hyper::Request::put(format!("{PATH_PREFIX}{}", request.kind().name()))
        .header(HOST, to.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(request.body())))
        .map_err(|error| Trouble::new(Failure::Bad, error))
}
