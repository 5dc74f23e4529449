//! An HTTP proxy with one backend, made with pingora: a peer of `harness bench data-plane --http`.

use std::net::SocketAddr;

use async_trait::async_trait;
use clap::Parser;
use pingora_core::Result;
use pingora_core::apps::HttpServerOptions;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// Passes HTTP requests on to one backend
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen at
    listen: SocketAddr,
    /// Address to pass requests on to
    backend: SocketAddr,
    /// Number of threads
    threads: usize,
    /// Speak HTTP/2 with prior knowledge on both sides
    #[arg(long)]
    http2: bool,
}

struct Relay {
    backend: SocketAddr,
    http2: bool,
}

#[async_trait]
impl ProxyHttp for Relay {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.backend, false, String::new());
        if self.http2 {
            peer.options.set_http_version(2, 2);
        }
        Ok(Box::new(peer))
    }
}

fn main() {
    let arguments = Arguments::parse();
    let conf = ServerConf {
        threads: arguments.threads,
        upstream_keepalive_pool_size: 1024,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    let relay = Relay {
        backend: arguments.backend,
        http2: arguments.http2,
    };
    let mut service = http_proxy_service(&server.configuration, relay);
    if arguments.http2
        && let Some(proxy) = service.app_logic_mut()
    {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        proxy.server_options = Some(options);
    }
    service.add_tcp(&arguments.listen.to_string());
    server.add_service(service);
    server.run_forever();
}
