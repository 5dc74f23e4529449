//! The door's listener: a task for each connection, and no more of them than there are places.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, Version};
use super::connection::{Door, converse};
use crate::control::Controller;
use crate::control::credential::Credential;
use crate::tcp;

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
    let places = Arc::new(Semaphore::new(limits.connections));
    let door = Arc::new(Door::new(controller, credential, limits, stop.clone()));
    let connections = TaskTracker::new();
    for id in 1.. {
        let Some((stream, peer)) = stop.run_until_cancelled(tcp::accept(&listener)).await else {
            break;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            turn_away(&stream);
            continue;
        };
        let door = Arc::clone(&door);
        connections.spawn(async move {
            match converse(stream, peer, id, door).await {
                Ok(end) => tracing::debug!(%peer, ?end, "a RESP client is gone"),
                Err(error) => tracing::debug!(%peer, %error, "a RESP client is gone"),
            }
            drop(place);
        });
    }
    connections.close();
    // A connection that outlives this is cut when the runtime ends.
    let _ = tokio::time::timeout(STOP_TIMEOUT, connections.wait()).await;
}

fn turn_away(stream: &TcpStream) {
    let mut answer = Vec::new();
    Answer::error("max number of clients reached").encode(Version::Two, &mut answer);
    // Nothing was sent yet, so there is room for it; if not, the client finds the connection closed.
    let _ = stream.try_write(&answer);
}
