//! The proxies that the sidecar is compared with.

mod config;

use std::path::{Path, PathBuf};

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
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Haproxy, Self::Microsocks, Self::Dante];

    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Microsocks => "microsocks",
            Self::Dante => "dante",
        }
    }

    /// A short description for `--help`.
    pub fn description(self) -> &'static str {
        match self {
            Self::Nginx => "nginx with its stream module",
            Self::Haproxy => "HAProxy in tcp mode",
            Self::Microsocks => "microsocks",
            Self::Dante => "Dante's server",
        }
    }

    /// The Debian packages to install, separated by spaces.
    pub fn packages(self) -> &'static str {
        match self {
            Self::Nginx => "nginx libnginx-mod-stream",
            Self::Haproxy => "haproxy",
            Self::Microsocks => "microsocks",
            Self::Dante => "dante-server",
        }
    }

    /// Finds it on this machine. `None` if it, or a required module, is not installed.
    pub async fn find(self) -> Option<InstalledPeer> {
        let file = match self {
            Self::Dante => "danted",
            other => other.name(),
        };
        let path = program::find(file)?;
        let program = match self {
            Self::Microsocks => InstalledProgram {
                path,
                version: program::package_version("microsocks").await,
            },
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

impl InstalledPeer {
    /// The arguments and configuration for `spec`. `splice` makes HAProxy move bytes within the kernel; other peers
    /// have no such setting.
    pub fn plan(&self, spec: &ProxySpec, splice: bool) -> LaunchPlan {
        match self.peer {
            PeerProxy::Nginx => config::nginx(self.stream_module.as_deref(), spec),
            PeerProxy::Haproxy => config::haproxy(splice, spec),
            PeerProxy::Microsocks => config::microsocks(spec),
            PeerProxy::Dante => config::dante(spec),
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
