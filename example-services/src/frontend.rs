//! The frontend: a page for each service, fetched through the sidecar for every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server;
use crate::upstream::{self, Backend, Via};

/// Additional time, during a stop, to write a response after its fetch.
const WRITE_GRACE: Duration = Duration::from_millis(250);

/// The frontend's configuration.
#[derive(Debug)]
pub struct Config {
    /// The sidecar's SOCKS5 server.
    pub socks5: SocketAddr,
    /// The services, each at `/service-NAME`.
    pub backends: Vec<Backend>,
    /// Timeout for a fetch; [`upstream::TIMEOUT`] except in tests.
    pub timeout: Duration,
}

/// Serves on `listener` until `stop`, then finishes the requests in flight. Their time is bounded by the fetch timeout.
///
/// # Errors
/// The listener has no address.
pub async fn run(listener: TcpListener, config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("cannot read the listener's address")?;
    let names: Vec<_> = config
        .backends
        .iter()
        .map(|backend| backend.name.as_str())
        .collect();
    tracing::info!(
        "listening on {address}; services {} through socks5 at {}",
        names.join(", "),
        config.socks5
    );
    let grace = config.timeout + WRITE_GRACE;
    let config = Arc::new(config);
    server::serve(listener, stop, grace, move |request| {
        let config = Arc::clone(&config);
        async move { answer(&config, address, request).await }
    })
    .await;
    tracing::info!("stopped");
    Ok(())
}

async fn answer(config: &Config, address: SocketAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let backend = path.strip_prefix("/service-").and_then(|name| {
        config
            .backends
            .iter()
            .find(|backend| backend.name.as_str() == name)
    });
    if backend.is_none() && path != "/" {
        let pages: Vec<String> = config.backends.iter().map(page).collect();
        let error = format!("no such page; here are: / {}", pages.join(" "));
        return server::json(StatusCode::NOT_FOUND, &json!({ "error": error }));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return server::method_not_allowed();
    }
    let Some(backend) = backend else {
        return index(config, &authority(&request, address));
    };
    let via = match via(request.uri().query()) {
        Ok(via) => via,
        Err(found) => {
            let error = format!("unknown via `{found}`; allowed are socks5 (without via), lb and http");
            return server::json(StatusCode::BAD_REQUEST, &json!({ "error": error }));
        }
    };
    match upstream::fetch(backend, via, config.socks5, config.timeout).await {
        Ok(answer) => pass_on(answer),
        Err(error) => failure(backend, via, error),
    }
}

/// The value of `via` in the query, by default SOCKS5. An unknown value is returned as the error.
fn via(query: Option<&str>) -> Result<Via, &str> {
    let mut pairs = query.unwrap_or_default().split('&');
    match pairs.find_map(|pair| pair.strip_prefix("via=")) {
        None | Some("socks5") => Ok(Via::Socks5),
        Some("lb") => Ok(Via::Lb),
        Some("http") => Ok(Via::Http),
        Some(other) => Err(other),
    }
}

/// Forwards the service's status and body, with the headers that belong to them (RFC 9110, section 15). The others concern
/// the connection to it.
fn pass_on(answer: Response<Bytes>) -> Response<Full<Bytes>> {
    let (mut head, body) = answer.into_parts();
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = head.status;
    for name in [CONTENT_TYPE, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE] {
        if let Some(value) = head.headers.remove(&name) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn failure(backend: &Backend, via: Via, error: upstream::Error) -> Response<Full<Bytes>> {
    let status = error.status();
    let body = json!({
        "error": status.canonical_reason().unwrap_or_default().to_lowercase(),
        "service": backend.name,
        "via": via.to_string(),
        "reason": format!("{:#}", anyhow::Error::from(error)),
    });
    server::json(status, &body)
}

fn page(backend: &Backend) -> String {
    format!("/service-{}", backend.name)
}

/// A page of commands to try, with the frontend's address from the client's request.
fn index(config: &Config, authority: &str) -> Response<Full<Bytes>> {
    let mut text = String::from(
        "The frontend of the example mesh. Each of these is answered by an instance of the service:\n\n",
    );
    for backend in &config.backends {
        let page = page(backend);
        text.push_str(&format!(
            "    curl '{authority}{page}'             through the sidecar's socks5\n"
        ));
        text.push_str(&format!(
            "    curl '{authority}{page}?via=lb'      through the sidecar's load balancer of connections\n"
        ));
        if backend.http.is_some() {
            text.push_str(&format!(
                "    curl '{authority}{page}?via=http'    through the sidecar's load balancer of requests\n"
            ));
        }
    }
    server::with_body(StatusCode::OK, "text/plain", text.into())
}

fn authority(request: &Request<Incoming>, address: SocketAddr) -> String {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    match host.and_then(|host| host.parse::<Authority>().ok()) {
        Some(authority) => authority.to_string(),
        None => address.to_string(),
    }
}
