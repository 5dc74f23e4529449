//! The TCP load balancer: every connection goes to an instance of its backends.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Limits;
use super::connect::connect;
use super::listener::{Connection, Listener, Serve};
use super::relay::End;
use super::session::Session;
use crate::balance::ServerGroups;

/// A running load balancer. Dropped, it stops accepting; its connections live on.
#[derive(Debug)]
pub struct TcpLb {
    listener: Listener,
    service: Arc<Service>,
}

#[derive(Debug)]
struct Service {
    backends: RwLock<Arc<ServerGroups>>,
    limits: Limits,
}

impl TcpLb {
    /// Begins to take connections from a bound listener to the backends.
    ///
    /// # Errors
    /// When the system refuses a setting of the socket.
    pub fn start(
        listener: std::net::TcpListener,
        backends: Arc<ServerGroups>,
        limits: Limits,
    ) -> io::Result<Self> {
        let service = Arc::new(Service {
            backends: RwLock::new(backends),
            limits,
        });
        let listener = Listener::start(listener, limits.connections, Arc::clone(&service))?;
        Ok(Self { listener, service })
    }

    /// The listener: its address, its counters, and how to end it.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Where new connections go.
    pub fn backends(&self) -> Arc<ServerGroups> {
        self.service.backends()
    }

    /// Takes new connections elsewhere from now on.
    pub fn set_backends(&self, backends: Arc<ServerGroups>) {
        *self
            .service
            .backends
            .write()
            .unwrap_or_else(PoisonError::into_inner) = backends;
    }
}

impl Service {
    fn backends(&self) -> Arc<ServerGroups> {
        Arc::clone(&self.backends.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Serve for Service {
    async fn serve(self: Arc<Self>, client: TcpStream, connection: Connection) {
        let started = Instant::now();
        let backends = self.backends();
        let from = connection.peer.ip();
        let cut = connection.cut().clone();
        let picked = connect(|tried| backends.pick(from, tried));
        let connected = cut.run_until_cancelled(picked).await;
        let session = Session::new(connection, backends.name().to_owned(), started);
        match connected {
            None => session.refused(&End::Cut),
            Some(Ok(connected)) => {
                session
                    .carry(client, connected, Vec::new(), self.limits.idle)
                    .await;
            }
            Some(Err(error)) => {
                // There is no instance to end this connection, so it ends as one that refuses does.
                let _ = client.set_zero_linger();
                session.refused(&error);
            }
        }
    }
}
