//! The exchanges under way, and the connections kept open between them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::{self, JoinSet};

use super::connection::IdleConnections;
use super::counters::Outcome;
use super::exchange_client::{Context, Ended, exchange};
use super::protocol::{Event, Failure};
use super::wire::Request;

/// An exchange that the state machine asks for.
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) to: SocketAddr,
    pub(super) request: Request,
    pub(super) timeout: Duration,
}

/// The exchanges under way, and the connections kept for the next.
#[derive(Default)]
pub(super) struct Exchanges {
    tasks: JoinSet<Ended>,
    /// The id and the peer of each task.
    started: HashMap<task::Id, (u64, SocketAddr)>,
    idle: IdleConnections,
}

impl Exchanges {
    /// Waits until an exchange ends or a peer closes its kept connection. The endpoint is set if its peer has
    /// announced that it gossips. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<(Option<SocketAddr>, Event)> {
        let joined = tokio::select! {
            Some(joined) = self.tasks.join_next_with_id() => joined,
            endpoint = self.idle.closed() => return Some((None, Event::Disconnected(endpoint))),
        };
        let (task, ended) = match joined {
            Ok(ended) => ended,
            // Its panic has been printed. The state machine must not wait for the answer forever.
            Err(error) => (error.id(), Ended::failed(Failure::Bad)),
        };
        let (id, to) = self.started.remove(&task)?;
        if let Some(connection) = ended.connection {
            self.idle.keep(to, connection);
        }
        let outcome = ended.outcome;
        Some((ended.gossips.then_some(to), Event::Answered { id, outcome }))
    }

    /// Starts an exchange, on the kept connection if there is one.
    pub(super) fn start(&mut self, asked: Asked, context: Context) {
        let Asked {
            id,
            to,
            request,
            timeout,
        } = asked;
        let kind = request.kind();
        let kept = self.idle.take(to);
        let task = self.tasks.spawn(async move {
            let ended = exchange(to, request, timeout, kept, &context).await;
            let counted = match ended.outcome {
                Ok(_) => Outcome::Answered,
                Err(failure) => Outcome::Failed(failure),
            };
            context.counters.count_made(kind, counted);
            ended
        });
        self.started.insert(task.id(), (id, to));
    }

    /// Closes all idle connections except those to these peers.
    pub(super) fn keep_idle(&mut self, wanted: impl FnMut(SocketAddr) -> bool) {
        self.idle.retain(wanted);
    }

    /// Aborts all exchanges under way.
    pub(super) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}
