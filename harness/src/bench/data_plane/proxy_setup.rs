//! The compared proxies of each part, with their configurations.

use bench::peer::PeerProxy;

/// The protocol by which clients use a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientProtocol {
    /// TCP; the proxy forwards to its backend.
    Tcp,
    /// SOCKS5, with the backend's address as the destination.
    Socks5,
    /// SOCKS5, with a server group's name as the destination.
    Socks5Name,
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
