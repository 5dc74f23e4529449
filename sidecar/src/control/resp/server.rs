//! The door's listener: a task for each connection, and no more of them than there are places.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, Version};
use super::connection::{Door, converse};
use crate::control::Controller;
use crate::control::credential::Credential;
use crate::serve::{self, Serve};

/// How long requests under way may take once the server is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What clients may occupy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at a time; further ones are told so and closed.
    pub connections: usize,
    /// How long a connection may say nothing.
    pub idle: Duration,
    /// How long it may take to authenticate.
    pub authentication: Duration,
    /// How long it may take to send a request that it has begun, or to take an answer.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            idle: Duration::from_secs(600),
            authentication: Duration::from_secs(60),
            transfer: Duration::from_secs(30),
        }
    }
}

/// Serves a listener until the token is cancelled, then finishes the requests under way.
pub async fn serve(
    listener: TcpListener,
    controller: Arc<Controller>,
    credential: Option<Credential>,
    limits: Limits,
    stop: CancellationToken,
) {
    let server = Server {
        permits: Arc::new(Semaphore::new(limits.connections)),
        door: Arc::new(Door::new(controller, credential, limits, stop.clone())),
        next_id: AtomicI64::new(1),
    };
    let connections = TaskTracker::new();
    serve::serve(&listener, &server, &connections, &stop).await;
    // A connection that outlives this ends with the runtime.
    serve::drained(&connections, STOP_TIMEOUT).await;
}

struct Server {
    permits: Arc<Semaphore>,
    door: Arc<Door>,
    next_id: AtomicI64,
}

impl Serve for Server {
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            turn_away(&stream);
            return None;
        };
        let door = Arc::clone(&self.door);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Some(async move {
            match converse(stream, peer, id, door).await {
                Ok(end) => tracing::debug!(%peer, ?end, "a RESP client is gone"),
                Err(error) => tracing::debug!(%peer, %error, "a RESP client is gone"),
            }
            drop(permit);
        })
    }
}

fn turn_away(stream: &TcpStream) {
    let mut answer = Vec::new();
    Answer::error("max number of clients reached").encode(Version::Two, &mut answer);
    // Nothing was sent yet, so there is room for it; if not, the client finds the connection closed.
    let _ = stream.try_write(&answer);
}
