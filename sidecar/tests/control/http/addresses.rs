//! Replaces the fixed addresses of recordings and examples with free ones.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// Pairs of a written address and its replacement.
#[derive(Default)]
pub(crate) struct Mapped {
    pub(crate) pairs: Vec<(String, String)>,
    /// Servers that accept connections, so that they are up.
    servers: Vec<TcpListener>,
    /// Sockets that reserve an address without listening, until the sidecar listens there.
    held: Vec<Socket>,
}

impl Mapped {
    pub(crate) fn map(&mut self, written: &str, ours: SocketAddr) {
        self.pairs.push((written.to_owned(), ours.to_string()));
    }

    /// Starts a server that is up.
    pub(crate) async fn serve(&mut self, written: &str, ip: &str) -> SocketAddr {
        let server = TcpListener::bind((ip, 0)).await.expect("a free port");
        let address = server.local_addr().expect("an address");
        self.servers.push(server);
        self.map(written, address);
        address
    }

    /// Reserves an address for the sidecar to listen on.
    pub(crate) fn hold(&mut self, written: &str) -> SocketAddr {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("a setting");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&any.into()).expect("a free port");
        let address = socket.local_addr().expect("an address").as_socket();
        let address = address.expect("an IP address");
        self.map(written, address);
        self.held.push(socket);
        address
    }

    pub(crate) fn ours(&self, written: &str) -> String {
        let replace = |text: String, (from, to): &(String, String)| text.replace(from, to);
        self.pairs.iter().fold(written.to_owned(), replace)
    }

    pub(crate) fn written(&self, ours: &str) -> String {
        let replace = |text: String, (to, from): &(String, String)| text.replace(from, to);
        self.pairs.iter().fold(ours.to_owned(), replace)
    }
}
