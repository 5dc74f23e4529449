//! `sidecar probe URL` and `sidecar get`: one HTTP GET, for images without a shell.

use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Maximum size of a body in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Requests the URL once.
///
/// # Errors
/// When there is no answer before the timeout, or its status is not 2xx.
pub async fn get(url: &str, timeout: Duration) -> anyhow::Result<()> {
    match tokio::time::timeout(timeout, ask(url)).await {
        Ok(outcome) => outcome
            .map(|_| ())
            .with_context(|| format!("the probe of {url} failed")),
        Err(_) => bail!("{url} did not answer within {} s", timeout.as_secs_f64()),
    }
}

/// Requests the URL once, and writes the body of the answer to standard output.
///
/// # Errors
/// As of [`get`].
pub async fn print(url: &str, timeout: Duration) -> anyhow::Result<()> {
    let body = match tokio::time::timeout(timeout, ask(url)).await {
        Ok(outcome) => outcome.with_context(|| format!("{url} cannot be read"))?,
        Err(_) => bail!("{url} did not answer within {} s", timeout.as_secs_f64()),
    };
    std::io::stdout()
        .write_all(&body)
        .context("cannot write to standard output")
}

/// Returns the body of the answer.
async fn ask(url: &str) -> anyhow::Result<Bytes> {
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
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("it answered {status}");
        }
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
    };
    let (mut answer, connection) = (pin!(answer), pin!(connection));
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // With the answer, if the server has closed the connection after it.
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
