//! The TCP load balancer: connects every client to an instance of its backends.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::access::SecurityGroup;
use super::admission::Handle;
use super::backends::Backends;
use super::connect::OnFailure;
use super::connection::Connection;
use super::flow::read_initial_data;
use super::http;
use super::listener::Listener;
use super::proxy_header::header;
use super::relay::End;
use super::workers::Workers;
use super::{Limits, Refusal};
use crate::balance::{Protocol, ServerGroups};

/// A running load balancer. When dropped, it stops accepting; its connections live on.
#[derive(Debug)]
pub struct TcpLb {
    listener: Listener,
    service: Arc<Service>,
}

#[derive(Debug)]
struct Service {
    backends: Arc<Backends>,
    on_failure: OnFailure,
    protocol: RwLock<Protocol>,
    /// Whether endpoints are told their clients' addresses.
    send_proxy: AtomicBool,
}

impl TcpLb {
    /// Starts to connect the clients of a bound listener to the backends: all clients, or those that the security
    /// group allows.
    ///
    /// # Errors
    /// When the system refuses a setting of the socket.
    pub fn start(
        listener: std::net::TcpListener,
        backends: Arc<ServerGroups>,
        security_group: Option<Arc<SecurityGroup>>,
        limits: Limits,
        workers: &Workers,
    ) -> io::Result<Self> {
        let service = Arc::new(Service {
            backends: Arc::new(Backends::new(backends)),
            on_failure: limits.on_connect_failure,
            protocol: RwLock::default(),
            send_proxy: AtomicBool::new(false),
        });
        let listener = Listener::start(listener, &service, security_group, limits, workers)?;
        Ok(Self { listener, service })
    }

    /// The listener: its address, counters and connections.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Sets whether each new connection to an endpoint begins with a header of the PROXY protocol, version 2.
    pub fn set_send_proxy(&self, send: bool) {
        self.service.send_proxy.store(send, Ordering::Relaxed);
    }

    /// What its connections carry.
    pub fn protocol(&self) -> Protocol {
        *self
            .service
            .protocol
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what its new connections carry.
    pub fn set_protocol(&self, protocol: Protocol) {
        *self
            .service
            .protocol
            .write()
            .unwrap_or_else(PoisonError::into_inner) = protocol;
    }

    /// Replaces the backends of new connections.
    pub fn set_backends(&self, backends: Arc<ServerGroups>) {
        self.service.backends.set(backends);
    }
}

impl Handle for Service {
    async fn handle(self: Arc<Self>, client: TcpStream, mut connection: Connection) {
        let backends = self.backends.get();
        connection.set_destination(backends.shared_name());
        let protocol = *self.protocol.read().unwrap_or_else(PoisonError::into_inner);
        if protocol != Protocol::Tcp {
            let source = http::Source::Listener(Arc::clone(&self.backends));
            return http::serve(client, Bytes::new(), connection, source, protocol).await;
        }
        let mut initial = read_initial_data(&client);
        let silent = initial.is_empty();
        if self.send_proxy.load(Ordering::Relaxed) {
            let header = header(connection.peer(), connection.local());
            initial.splice(..0, header);
        }
        let reached = {
            let connecting =
                pin!(connection.connect(&backends, (&client, silent), &initial, self.on_failure));
            connection.unless_aborted(connecting).await
        };
        match reached {
            Some(Ok((connected, release))) => {
                connection.was_held(release);
                connection.relay(client, connected, initial).await;
            }
            // The client sees what it would see if the instance refused the connection.
            Some(Err(error)) => connection.reset(client, error.reason.into(), &error),
            None => connection.reset(client, Refusal::Aborted, &End::Aborted),
        }
    }
}
