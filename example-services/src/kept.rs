//! Connections to a load balancer that balances requests. They are kept between requests, as most clients keep theirs.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use tokio::net::TcpStream;

use crate::client::{self, Connection};

/// Idle connections at most.
const MAX_IDLE: usize = 32;

/// The connections to one load balancer.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    idle: Mutex<Vec<Connection>>,
}

/// Why a request has no response.
#[derive(Debug)]
pub(crate) enum Error {
    /// There is no connection.
    Connect(std::io::Error),
    /// The connection broke.
    Exchange(client::Error),
}

impl Kept {
    /// Sends a request on an idle connection, or on a new one if there is none. A request that the end of an idle connection
    /// has left unsent is sent on the next one.
    pub(crate) async fn send(
        &self,
        address: SocketAddr,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Error> {
        while let Some(mut connection) = self.take() {
            if !connection.is_ready().await {
                continue;
            }
            match connection.send(request).await {
                Ok(answer) => {
                    self.keep(connection);
                    return Ok(answer);
                }
                Err(failed) => match failed.unsent {
                    Some(unsent) => request = unsent,
                    None => return Err(Error::Exchange(failed.error)),
                },
            }
        }
        let stream = TcpStream::connect(address).await.map_err(Error::Connect)?;
        // With Nagle's algorithm a request may wait for an acknowledgement. A failure only delays it.
        let _ = stream.set_nodelay(true);
        let mut connection = Connection::over(stream).await.map_err(Error::Exchange)?;
        let sent = connection.send(request).await;
        let answer = sent.map_err(|failed| Error::Exchange(failed.error))?;
        self.keep(connection);
        Ok(answer)
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }
}
