//! `sidecar probe URL`: one HTTP GET, as the health check of images without a shell.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Requests the URL once.
///
/// # Errors
/// When there is no answer before the timeout, or its status is not 2xx.
pub async fn get(url: &str, timeout: Duration) -> anyhow::Result<()> {
    match tokio::time::timeout(timeout, ask(url)).await {
        Ok(outcome) => outcome.with_context(|| format!("the probe of {url} failed")),
        Err(_) => bail!("{url} did not answer within {} s", timeout.as_secs_f64()),
    }
}

async fn ask(url: &str) -> anyhow::Result<()> {
    let uri: Uri = url.parse().context("it is not a URL")?;
    if uri.scheme_str() != Some("http") {
        bail!("expected a URL that begins with http://");
    }
    let authority = uri
        .authority()
        .context("expected a host in the URL")?
        .as_str()
        .to_owned();
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80)))
        .await
        .context("cannot connect")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let request = Request::get(path)
        .header(HOST, authority)
        .body(Empty::<Bytes>::new())?;
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer?,
        ended = connection => {
            ended?;
            bail!("the connection was closed without an answer");
        }
    };
    if !answer.status().is_success() {
        bail!("it answered {}", answer.status());
    }
    Ok(())
}
