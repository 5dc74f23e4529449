//! The HTTP proxy: its clients name the group that serves a request, by CONNECT or in absolute form.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::Limits;
use super::access::SecurityGroup;
use super::admission::Handle;
use super::backends::Backends;
use super::connection::Connection;
use super::http;
use super::listener::Listener;
use super::workers::Workers;
use crate::balance::{Protocol, ServerGroups};

/// A running HTTP proxy. When dropped, it stops accepting; its connections live on.
#[derive(Debug)]
pub struct HttpProxy {
    listener: Listener,
    service: Arc<Service>,
}

#[derive(Debug)]
struct Service {
    backends: Arc<Backends>,
}

impl HttpProxy {
    /// Starts to serve the clients of a bound listener: all, or those that the security group allows. Destinations are the
    /// names of the backends' groups.
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
        });
        let listener = Listener::start(listener, &service, security_group, limits, workers)?;
        Ok(Self { listener, service })
    }

    /// The listener: its address, counters and connections.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Replaces the backends of new requests.
    pub fn set_backends(&self, backends: Arc<ServerGroups>) {
        self.service.backends.set(backends);
    }
}

impl Handle for Service {
    async fn handle(self: Arc<Self>, client: TcpStream, connection: Connection) {
        let source = http::Source::Named(http::Named::new(Arc::clone(&self.backends)));
        http::serve(client, Bytes::new(), connection, source, Protocol::Http1).await;
    }
}
