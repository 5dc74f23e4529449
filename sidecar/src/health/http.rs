//! A health check by HTTP: a GET that must be answered with 2xx or 3xx.

use std::pin::pin;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::balance::CheckOutcome;

/// Sends the request over a connection, and waits for the answer. An answer of another kind, or a connection that ends
/// without one, counts as refused: the server lives, and its connections are not ended.
pub(super) async fn get(stream: TcpStream, host: &str, path: &str) -> (CheckOutcome, Option<String>) {
    match ask(stream, host, path).await {
        Ok(status) if (200..400).contains(&status) => (CheckOutcome::Passed, None),
        Ok(status) => (
            CheckOutcome::Refused,
            Some(format!("{path} is answered with {status}")),
        ),
        Err(error) => (
            CheckOutcome::Refused,
            Some(format!("{path} is not answered: {error:#}")),
        ),
    }
}

async fn ask(stream: TcpStream, host: &str, path: &str) -> anyhow::Result<u16> {
    let request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("sidecar/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let (mut answer, connection) = (pin!(sender.send_request(request)), pin!(connection));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        // With the answer, if the server has closed the connection after it.
        _ = connection => answer.await,
    };
    Ok(answer?.status().as_u16())
}
