//! Requests on a connection that is kept, as most clients keep theirs.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::connection::{Connection, Failure};
use super::{HttpError, Response, within};

/// Connections on which a request is tried at most. Each but the last was closed before any of the request was sent.
const MAX_CLOSED: usize = 3;

/// The version of HTTP of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1: one request after the other.
    Http1,
    /// HTTP/2 with prior knowledge: requests at the same time, each on a stream of its own.
    Http2,
}

/// Requests on one connection. If the server has closed it between two requests, the next one connects again, as clients do;
/// what breaks a request fails it.
#[derive(Debug)]
pub struct Session {
    address: SocketAddr,
    version: Version,
    kept: Mutex<Option<Connection>>,
    opened: AtomicUsize,
}

impl Session {
    /// A session with the server at `address`; the first request connects.
    pub fn new(address: SocketAddr, version: Version) -> Self {
        Self {
            address,
            version,
            kept: Mutex::default(),
            opened: AtomicUsize::new(0),
        }
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of connections that were opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// Sends `GET target` and reads the response within `limit`. After a failure the next request connects again.
    ///
    /// # Errors
    /// As [`super::get`].
    pub async fn get(&self, target: &str, limit: Duration) -> Result<Response, HttpError> {
        within(limit, self.address, async {
            for _ in 1..MAX_CLOSED {
                let (connection, is_new) = self.connection().await?;
                match self.exchange(connection, target).await {
                    Err(Failure::Unsent(_)) if !is_new => {}
                    exchanged => return Ok(exchanged?),
                }
            }
            let (connection, _) = self.connection().await?;
            Ok(self.exchange(connection, target).await?)
        })
        .await
    }

    /// As [`Session::get`], but never connects. `None` if there is no connection, or the server has closed it before any of
    /// the request was sent.
    ///
    /// # Errors
    /// As [`super::get`].
    pub async fn get_kept(&self, target: &str, limit: Duration) -> Result<Option<Response>, HttpError> {
        let Some(connection) = take(&mut *self.kept.lock().await) else {
            return Ok(None);
        };
        within(limit, self.address, async {
            match self.exchange(connection, target).await {
                Err(Failure::Unsent(_)) => Ok(None),
                exchanged => Ok(Some(exchanged?)),
            }
        })
        .await
    }

    /// The connection, and whether it is a new one. Of requests at the same time only one connects.
    async fn connection(&self) -> Result<(Connection, bool), HttpError> {
        let mut kept = self.kept.lock().await;
        if let Some(connection) = take(&mut kept) {
            return Ok((connection, false));
        }
        let connection = Connection::open(self.address, self.version).await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        *kept = connection.share();
        Ok((connection, true))
    }

    /// Sends a request, and keeps the connection unless the request fails or its future is dropped.
    async fn exchange(&self, mut connection: Connection, target: &str) -> Result<Response, Failure> {
        let response = connection.get(target).await?;
        if connection.share().is_none() {
            *self.kept.lock().await = Some(connection);
        }
        Ok(response)
    }
}

/// The kept connection, if it is open. It stays if others can use it at the same time.
fn take(kept: &mut Option<Connection>) -> Option<Connection> {
    let connection = kept.take().filter(|connection| !connection.is_closed())?;
    *kept = connection.share();
    Some(connection)
}
