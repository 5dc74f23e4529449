//! Compares the sidecar with other proxies on loopback. All proxies of a part run at the same time and are measured one
//! after another in each round, so that a disturbance of the machine affects all of them. The medians of the rounds are
//! reported.

mod bulk;
mod candidate;
mod connections;
mod http;
mod memory;
mod proxy_setup;
mod request_metrics;
mod rounds;
mod sidecar_plan;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bench::descriptor_limit;
use bench::peer::{InstalledPeer, PeerProxy};
use bench::program::InstalledProgram;
use bench::results::Results;
use bench::worker::WorkerLauncher;
use clap::ValueEnum;
use tempfile::TempDir;

use self::candidate::Programs;
use self::proxy_setup::{
    BULK, HTTP1_PROXIES, HTTP2_PROXIES, IDLE_SOCKS5, ProxyKind, ProxySetup, SOCKS5, TCP,
};
use self::rounds::ProxyBench;
use crate::console::Progress;
use crate::error::Error;
use crate::verify::conntrack;

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// TCP load balancing, one connection per request.
    TcpLb,
    /// SOCKS5, one connection per request.
    Socks5,
    /// Bulk transfer on one connection and on eight.
    Bulk,
    /// Memory, idle and with many idle connections.
    Memory,
    /// HTTP/1.1 on connections that clients keep.
    Http,
    /// HTTP/2, many requests at a time on each connection.
    H2,
    /// Memory with many idle HTTP/1.1 clients.
    HttpMemory,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 7] = [
        Self::TcpLb,
        Self::Socks5,
        Self::Bulk,
        Self::Memory,
        Self::Http,
        Self::H2,
        Self::HttpMemory,
    ];

    /// Whether it measures HTTP.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::H2 | Self::HttpMemory)
    }

    fn compares_with(self, peer: PeerProxy) -> bool {
        let lists: &[&[ProxySetup]] = match self {
            Self::TcpLb => &[TCP],
            Self::Socks5 => &[SOCKS5],
            Self::Bulk => &[BULK],
            Self::Memory => &[TCP, IDLE_SOCKS5],
            Self::Http | Self::HttpMemory => &[HTTP1_PROXIES],
            Self::H2 => &[HTTP2_PROXIES],
        };
        let mut all = lists.iter().copied().flatten();
        all.any(|setup| setup.kind == ProxyKind::Peer(peer))
    }
}

/// Options of the bench.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of measurements of each proxy.
    pub rounds: usize,
    /// Concurrent connections.
    pub concurrency: usize,
    /// Duration of each measurement of requests.
    pub duration: Duration,
    /// Number of bytes in each bulk transfer.
    pub bulk: u64,
    /// Maximum number of idle connections to hold; fewer if the open-file limit requires it.
    pub idle: u64,
    /// Parts to measure.
    pub parts: Vec<Part>,
    /// Proxies to compare the sidecar with.
    pub peers: Vec<PeerProxy>,
}

/// Measures `sidecar` and its peers. Parts with HTTP need the program `http_worker`. Dropping the future kills all processes that it has started.
///
/// # Errors
/// The sidecar cannot be started, or the machine is out of a resource.
pub async fn run(
    options: &Options,
    sidecar: InstalledProgram,
    http_worker: Option<PathBuf>,
    progress: &Progress,
) -> Result<Results, Error> {
    let began = SystemTime::now();
    conntrack::check()?;
    descriptor_limit::raise();
    let directory = TempDir::with_prefix("mesh-bench-").map_err(|error| {
        Error::environment(
            format!("a temporary directory cannot be made: {error}"),
            "set TMPDIR to a writable directory",
        )
    })?;
    let (mut peers, mut missing) = find_peers(&options.peers, &options.parts, progress).await;
    if let Some(path) = &http_worker
        && let Some(found) = missing.iter().position(|peer| *peer == PeerProxy::Hyper)
    {
        missing.remove(found);
        peers.push(InstalledProgram::new(path.clone(), "--version").await.into());
    }
    let programs = Programs {
        sidecar,
        peers,
        http_worker: http_worker.map(WorkerLauncher::of),
    };
    let bench = ProxyBench {
        options,
        programs: &programs,
        launcher: WorkerLauncher::new(&["bench"])?,
        directory: directory.path(),
        progress,
    };
    let mut sections = Vec::new();
    for &part in &options.parts {
        sections.extend(bench.measure(part).await?);
    }
    let peers = programs.peers.iter();
    let versions = std::iter::once(("sidecar", &programs.sidecar))
        .chain(peers.map(|installed| (installed.peer.name(), &installed.program)))
        .map(|(name, program)| (name.to_owned(), program.version.clone()))
        .collect();
    Ok(Results {
        began,
        setting: format!(
            "Medians of {} rounds; all proxies are measured in each round. {} processors, Linux {}.",
            options.rounds,
            std::thread::available_parallelism().map_or(0, usize::from),
            kernel_release()
        ),
        programs: versions,
        missing: missing.into_iter().map(|peer| peer.name().to_owned()).collect(),
        sections,
    })
}

/// Finds the `peers` that take part in `parts`. Returns the installed ones, and the names of the others.
async fn find_peers(
    peers: &[PeerProxy],
    parts: &[Part],
    progress: &Progress,
) -> (Vec<InstalledPeer>, Vec<PeerProxy>) {
    let (mut installed, mut missing) = (Vec::new(), Vec::new());
    let takes_part = |peer: &&PeerProxy| parts.iter().any(|part| part.compares_with(**peer));
    for peer in peers.iter().filter(takes_part) {
        if let Some(found) = peer.find().await {
            installed.push(found);
            continue;
        }
        missing.push(*peer);
        // The relay of hyper is built with the load.
        if *peer != PeerProxy::Hyper {
            progress.say(&format!(
                "{} is not installed and is left out; on Debian: {}",
                peer.name(),
                peer.installation()
            ));
        }
    }
    (installed, missing)
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_needs_only_the_peers_that_it_compares() {
        let peers = |part: Part| {
            let peers = PeerProxy::ALL
                .into_iter()
                .filter(|peer| part.compares_with(*peer));
            peers.map(PeerProxy::name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(peers(Part::TcpLb), "nginx haproxy");
        assert_eq!(peers(Part::Bulk), "nginx haproxy");
        assert_eq!(peers(Part::Socks5), "microsocks dante");
        assert_eq!(peers(Part::Memory), "nginx haproxy microsocks dante");
        assert_eq!(peers(Part::H2), "nginx haproxy caddy pingora hyper");
    }
}
