//! The proxies of each part, in the configurations that are compared.

use bench::peer::Peer;

/// How clients use a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    /// TCP; the proxy forwards to its backend.
    Tcp,
    /// SOCKS5, with the backend's address as the destination.
    Socks5,
    /// SOCKS5, with a server group's name as the destination.
    Socks5Name,
}

/// The program of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProxyProgram {
    Sidecar,
    Peer(Peer),
}

/// A proxy in one of its configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProxySetup {
    /// Its name in reports.
    pub(super) name: &'static str,
    pub(super) program: ProxyProgram,
    pub(super) protocol: Protocol,
    /// Whether HAProxy moves bytes within the kernel.
    pub(super) splice: bool,
}

const fn setup(name: &'static str, program: ProxyProgram, protocol: Protocol) -> ProxySetup {
    ProxySetup {
        name,
        program,
        protocol,
        splice: false,
    }
}

const SIDECAR: ProxySetup = setup("sidecar", ProxyProgram::Sidecar, Protocol::Tcp);
const NGINX: ProxySetup = setup("nginx", ProxyProgram::Peer(Peer::Nginx), Protocol::Tcp);
const HAPROXY: ProxySetup = setup("haproxy", ProxyProgram::Peer(Peer::Haproxy), Protocol::Tcp);

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

const SIDECAR_SOCKS5: ProxySetup = setup("sidecar", ProxyProgram::Sidecar, Protocol::Socks5);
const MICROSOCKS: ProxySetup = setup(
    "microsocks",
    ProxyProgram::Peer(Peer::Microsocks),
    Protocol::Socks5,
);
const DANTE: ProxySetup = setup("dante", ProxyProgram::Peer(Peer::Dante), Protocol::Socks5);

/// SOCKS5 servers.
pub(super) const SOCKS5: &[ProxySetup] = &[
    SIDECAR_SOCKS5,
    setup("sidecar-name", ProxyProgram::Sidecar, Protocol::Socks5Name),
    MICROSOCKS,
    DANTE,
];

/// SOCKS5 servers for idle connections: once a connection is open, the kind of its destination makes no difference.
pub(super) const IDLE_SOCKS5: &[ProxySetup] = &[SIDECAR_SOCKS5, MICROSOCKS, DANTE];
