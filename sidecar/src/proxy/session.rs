//! A connection's life between its two ends, and the one line about it at its end.

use std::fmt::Display;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connect::Connected;
use super::listener::Connection;
use super::relay::{Bounds, Summary, relay};

/// What is known of a connection before it gets anywhere.
pub(super) struct Session<D> {
    connection: Connection,
    destination: D,
    started: Instant,
}

impl<D: Display> Session<D> {
    pub(super) fn new(connection: Connection, destination: D, started: Instant) -> Self {
        Self {
            connection,
            destination,
            started,
        }
    }

    /// Relays to the end.
    pub(super) async fn carry(self, client: TcpStream, to: Connected, early: Vec<u8>, idle: Duration) {
        let bounds = Bounds {
            idle,
            cut: self.connection.cut(),
        };
        let lease = to.lease.as_ref();
        let summary = relay(client, to.stream, early, bounds, |direction, bytes| {
            self.connection.moved(direction, bytes);
            if let Some(lease) = lease {
                lease.moved(direction, bytes);
            }
        })
        .await;
        let Summary {
            to_instance,
            to_client,
            end,
        } = summary;
        tracing::debug!(
            peer = %self.connection.peer,
            destination = %self.destination,
            instance = %to.address,
            server = lease.map(|lease| lease.server().name()),
            to_instance,
            to_client,
            duration_ms = self.elapsed_ms(),
            reason = %end,
            "connection ended"
        );
    }

    /// The line for a connection that got nowhere.
    pub(super) fn refused(&self, reason: &impl Display) {
        tracing::debug!(
            peer = %self.connection.peer,
            destination = %self.destination,
            duration_ms = self.elapsed_ms(),
            reason = %reason,
            "connection got nowhere"
        );
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
