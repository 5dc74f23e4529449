//! The server that all proxies pass requests on to.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bench::http::MAX_RESPONSE;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::threads::{self, LocalExecutor};

/// The data of responses.
static BLOCK: [u8; MAX_RESPONSE] = [b'x'; MAX_RESPONSE];

/// Serves on a free port of loopback until standard input ends.
pub(crate) fn run(count: usize) -> io::Result<()> {
    let first = threads::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(threads::listen(address)?);
    }
    for listener in listeners {
        // Not joined: the threads end with the process.
        threads::start(move || threads::accept(listener, serve))?;
    }
    crate::print_line(&address.to_string())?;
    crate::wait_for_input_end();
    Ok(())
}

async fn serve(stream: TcpStream) {
    let mut first = [0];
    let answer = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
    // Requests in HTTP/1.1 begin with GET, the preface of HTTP/2 with PRI. An error ends a connection: the client
    // counts it.
    if matches!(stream.peek(&mut first).await, Ok(1)) && first == *b"P" {
        let connection = http2::Builder::new(LocalExecutor);
        let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
    } else {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        let _ = connection.await;
    }
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let length = request
        .uri()
        .path()
        .strip_prefix('/')
        .and_then(|n| n.parse::<usize>().ok());
    let body = length.and_then(|length| BLOCK.get(..length));
    let mut response = Response::new(Full::new(Bytes::from_static(body.unwrap_or_default())));
    if body.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
