//! The bare relay: the least that a proxy made with hyper does. It has one backend, and knows no failure but the end of
//! the client's connection.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bench::http::HttpVersion;
use hyper::body::Incoming;
use hyper::client::conn;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::threads::{self, LocalExecutor};

type Outcome = Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>>;

/// Relays until the process is ended by a signal.
pub(crate) fn run(
    listen: SocketAddr,
    backend: SocketAddr,
    count: usize,
    version: HttpVersion,
) -> io::Result<()> {
    let mut running = Vec::new();
    for _ in 0..count.max(1) {
        let listener = threads::listen(listen)?;
        running.push(threads::start(move || relay(listener, backend, version))?);
    }
    for thread in running {
        thread
            .join()
            .map_err(|_| io::Error::other("a thread of the relay failed"))??;
    }
    Ok(())
}

async fn relay(listener: std::net::TcpListener, backend: SocketAddr, version: HttpVersion) {
    match version {
        HttpVersion::Http1 => {
            let pool = Rc::new(Http1Pool {
                backend,
                idle: RefCell::default(),
            });
            threads::accept(listener, |stream| {
                let pool = Rc::clone(&pool);
                async move {
                    let service = service_fn(|request| pool.send(request));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }
            })
            .await;
        }
        HttpVersion::Http2 => {
            let shared = Rc::new(Http2Connection {
                backend,
                sender: RefCell::default(),
            });
            threads::accept(listener, |stream| {
                let shared = Rc::clone(&shared);
                async move {
                    let service = service_fn(move |request| {
                        let shared = Rc::clone(&shared);
                        async move { shared.send(request).await }
                    });
                    let connection = http2::Builder::new(LocalExecutor);
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                }
            })
            .await;
        }
    }
}

/// Connections to the backend, of one thread.
struct Http1Pool {
    backend: SocketAddr,
    /// Those that carry no request, or the rest of an answer.
    idle: RefCell<Vec<conn::http1::SendRequest<Incoming>>>,
}

impl Http1Pool {
    async fn send(&self, request: Request<Incoming>) -> Outcome {
        let mut sender = match self.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = sender.send_request(request).await?;
        self.idle.borrow_mut().push(sender);
        Ok(response)
    }

    fn take(&self) -> Option<conn::http1::SendRequest<Incoming>> {
        let mut idle = self.idle.borrow_mut();
        let ready = idle.iter().rposition(conn::http1::SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    async fn connect(
        &self,
    ) -> Result<conn::http1::SendRequest<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = connect(self.backend).await?;
        let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        sender.ready().await?;
        Ok(sender)
    }
}

/// The connection of one thread to the backend.
struct Http2Connection {
    backend: SocketAddr,
    sender: RefCell<Option<conn::http2::SendRequest<Incoming>>>,
}

impl Http2Connection {
    async fn send(&self, request: Request<Incoming>) -> Outcome {
        let known = self.sender.borrow().clone().filter(|sender| !sender.is_closed());
        let mut sender = match known {
            Some(sender) => sender,
            None => {
                let stream = connect(self.backend).await?;
                let builder = conn::http2::Builder::new(LocalExecutor);
                let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
                tokio::task::spawn_local(connection);
                self.sender.borrow_mut().insert(sender).clone()
            }
        };
        Ok(sender.send_request(request).await?)
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
