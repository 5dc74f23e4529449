//! The server: admits connections up to the limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, Version};
use super::connection::{Shared, converse};
use super::limits::Limits;
use crate::control::Controller;
use crate::control::credential::Credential;
use crate::limits::{BUDGET, Descriptors};
use crate::serve::{self, Serve};

/// Timeout of pending requests once the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a listener until the token is cancelled, then finishes pending requests.
pub async fn serve(
    listener: TcpListener,
    controller: Arc<Controller>,
    credential: Option<Credential>,
    limits: Limits,
    stop: CancellationToken,
) {
    let server = Server {
        permits: Arc::new(Semaphore::new(limits.connections)),
        waiting: Arc::new(Semaphore::new(limits.connections)),
        shared: Arc::new(Shared::new(controller, credential, limits, stop.clone())),
    };
    let connections = TaskTracker::new();
    serve::serve(&listener, &server, &connections, &stop).await;
    // Connections that are still open end with the runtime.
    serve::drained(&connections, STOP_TIMEOUT).await;
}

struct Server {
    permits: Arc<Semaphore>,
    /// Permits of connections that wait until others have made room.
    waiting: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl Serve for Server {
    type Permit = ();

    async fn permit(&self) {}

    async fn descriptors(&self) -> Descriptors {
        BUDGET.inbound().await
    }

    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        ((), descriptors): ((), Descriptors),
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let shared = Arc::clone(&self.shared);
        let permits = Arc::clone(&self.permits);
        let mut free = Arc::clone(&permits).try_acquire_owned().ok();
        let mut waiting = None;
        if free.is_none() {
            waiting = Arc::clone(&self.waiting).try_acquire_owned().ok();
            if waiting.is_none() || !shared.connections.make_room() {
                refuse(&stream);
                return None;
            }
        }
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        Some(async move {
            if free.is_none() {
                let room = permits.acquire_owned();
                free = shared.stop.run_until_cancelled(room).await.and_then(Result::ok);
            }
            drop(waiting);
            if let Some(permit) = free {
                attend(stream, peer, id, shared).await;
                drop((permit, descriptors));
            }
        })
    }
}

/// Serves a client to its end, or until it must make room.
async fn attend(stream: TcpStream, peer: SocketAddr, id: i64, shared: Arc<Shared>) {
    let place = shared.connections.enter(id);
    let evicted = place.evicted.clone();
    let conversation = converse(stream, peer, id, place, shared);
    match evicted.run_until_cancelled(conversation).await {
        Some(Ok(end)) => tracing::debug!(%peer, ?end, "a RESP connection ended"),
        Some(Err(error)) => tracing::debug!(%peer, %error, "a RESP connection ended"),
        None => tracing::debug!(%peer, "a silent RESP connection made room for another"),
    }
}

fn refuse(stream: &TcpStream) {
    let mut answer = Vec::new();
    Answer::error("max number of clients reached").encode(Version::Two, &mut answer);
    // Nothing was sent yet, so the socket buffer has room; if not, the client only sees the connection closed.
    let _ = stream.try_write(&answer);
}
