//! The compared proxies of each part, with their configurations.

use bench::http::HttpVersion;
use bench::peer::{Forwarding, PeerProxy};

/// The protocol by which clients use a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientProtocol {
    /// TCP; the proxy forwards to its backend.
    Tcp,
    /// SOCKS5, with the backend's address as the destination.
    Socks5,
    /// SOCKS5, with a server group's name as the destination.
    Socks5Name,
    /// HTTP; the proxy forwards requests to its backend.
    Http(HttpVersion),
}

/// The program of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProxyKind {
    Sidecar,
    Peer(PeerProxy),
}

/// A proxy in one of its configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProxySetup {
    /// Its name in reports.
    pub(super) name: &'static str,
    pub(super) kind: ProxyKind,
    pub(super) protocol: ClientProtocol,
    /// Whether HAProxy moves bytes within the kernel.
    pub(super) splice: bool,
}

impl ProxySetup {
    /// What a peer is to do.
    pub(super) fn forwarding(self) -> Forwarding {
        match self.protocol {
            ClientProtocol::Http(version) => Forwarding::Http(version),
            _ => Forwarding::Tcp { splice: self.splice },
        }
    }
}

const fn setup(name: &'static str, kind: ProxyKind, protocol: ClientProtocol) -> ProxySetup {
    ProxySetup {
        name,
        kind,
        protocol,
        splice: false,
    }
}

const SIDECAR: ProxySetup = setup("sidecar", ProxyKind::Sidecar, ClientProtocol::Tcp);
const NGINX: ProxySetup = setup("nginx", ProxyKind::Peer(PeerProxy::Nginx), ClientProtocol::Tcp);
const HAPROXY: ProxySetup = setup(
    "haproxy",
    ProxyKind::Peer(PeerProxy::Haproxy),
    ClientProtocol::Tcp,
);

/// TCP load balancers.
pub(super) const TCP: &[ProxySetup] = &[SIDECAR, NGINX, HAPROXY];

/// TCP load balancers for bulk transfer.
pub(super) const BULK: &[ProxySetup] = &[
    SIDECAR,
    NGINX,
    HAPROXY,
    ProxySetup {
        name: "haproxy-splice",
        splice: true,
        ..HAPROXY
    },
];

const SIDECAR_SOCKS5: ProxySetup = setup("sidecar", ProxyKind::Sidecar, ClientProtocol::Socks5);
const MICROSOCKS: ProxySetup = setup(
    "microsocks",
    ProxyKind::Peer(PeerProxy::Microsocks),
    ClientProtocol::Socks5,
);
const DANTE: ProxySetup = setup("dante", ProxyKind::Peer(PeerProxy::Dante), ClientProtocol::Socks5);

/// SOCKS5 servers.
pub(super) const SOCKS5: &[ProxySetup] = &[
    SIDECAR_SOCKS5,
    setup("sidecar-name", ProxyKind::Sidecar, ClientProtocol::Socks5Name),
    MICROSOCKS,
    DANTE,
];

/// SOCKS5 servers for idle connections: the memory of an open connection does not depend on the kind of destination.
pub(super) const IDLE_SOCKS5: &[ProxySetup] = &[SIDECAR_SOCKS5, MICROSOCKS, DANTE];

const HTTP1: ClientProtocol = ClientProtocol::Http(HttpVersion::Http1);
const HTTP2: ClientProtocol = ClientProtocol::Http(HttpVersion::Http2);

/// HTTP proxies, whose clients speak HTTP/1.1.
pub(super) const HTTP1_PROXIES: &[ProxySetup] = &http(
    ["sidecar", "nginx", "haproxy", "caddy", "pingora", "hyper"],
    HTTP1,
);

/// HTTP proxies, whose clients speak HTTP/2. Their names say what they speak to the backend.
pub(super) const HTTP2_PROXIES: &[ProxySetup] = &http(
    [
        "sidecar (h2)",
        "nginx (http/1.1)",
        "haproxy (h2)",
        "caddy (h2)",
        "pingora (h2)",
        "hyper (h2)",
    ],
    HTTP2,
);

const fn http(names: [&'static str; 6], protocol: ClientProtocol) -> [ProxySetup; 6] {
    let [sidecar, nginx, haproxy, caddy, pingora, hyper] = names;
    [
        setup(sidecar, ProxyKind::Sidecar, protocol),
        setup(nginx, ProxyKind::Peer(PeerProxy::Nginx), protocol),
        setup(haproxy, ProxyKind::Peer(PeerProxy::Haproxy), protocol),
        setup(caddy, ProxyKind::Peer(PeerProxy::Caddy), protocol),
        setup(pingora, ProxyKind::Peer(PeerProxy::Pingora), protocol),
        setup(hyper, ProxyKind::Peer(PeerProxy::Hyper), protocol),
    ]
}
