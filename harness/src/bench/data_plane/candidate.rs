//! A row of a comparison: a running proxy, or a direct connection to the backend.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bench::http::{Behaviour, HttpLoad};
use bench::load::Target;
use bench::peer::InstalledPeer;
use bench::process_usage::ProcessTree;
use bench::program::InstalledProgram;
use bench::proxy::{ProxySpec, RunningProxy};
use bench::results::{Row, RowKind};
use bench::worker::WorkerLauncher;

use super::proxy_setup::{ClientProtocol, ProxyKind, ProxySetup};
use super::sidecar_plan;
use crate::error::Error;

/// Timeout for the first request through a proxy, which is repeated until it is answered.
const FIRST_RESPONSE_TIMEOUT: Duration = Duration::from_secs(6);

/// The compared programs.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) sidecar: InstalledProgram,
    pub(super) peers: Vec<InstalledPeer>,
    /// Starts the HTTP load and its backend, if a part needs them.
    pub(super) http_worker: Option<WorkerLauncher>,
}

/// The target of a load in a comparison.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) name: &'static str,
    kind: RowKind,
    pub(super) target: Target,
    proxy: Option<RunningProxy>,
}

impl Candidate {
    /// The backend without a proxy.
    pub(super) fn direct(backend: SocketAddr) -> Self {
        Self {
            name: "direct",
            kind: RowKind::Direct,
            target: Target {
                address: backend,
                socks5_destination: None,
            },
            proxy: None,
        }
    }

    /// Starts a proxy to `backend` for `connections` concurrent connections, with its files in `directory`. `None` if
    /// its program is not installed.
    pub(super) async fn start(
        setup: ProxySetup,
        programs: &Programs,
        backend: SocketAddr,
        connections: usize,
        directory: &Path,
    ) -> Result<Option<Self>, Error> {
        // Without white space, which configurations of peers would have to quote.
        let name = format!("{}-{:?}", setup.name, setup.protocol);
        let directory = directory.join(name.replace(|c: char| !c.is_alphanumeric(), "-"));
        let spec = ProxySpec::new(backend, connections, directory)
            .map_err(|error| Error::environment(format!("no port can be reserved: {error}"), "try again"))?;
        let (kind, program, plan) = match setup.kind {
            ProxyKind::Sidecar => (
                RowKind::Subject,
                &programs.sidecar,
                sidecar_plan::plan(setup.protocol, &spec),
            ),
            ProxyKind::Peer(peer) => {
                let Some(installed) = programs.peers.iter().find(|installed| installed.peer == peer) else {
                    return Ok(None);
                };
                (
                    RowKind::Peer,
                    &installed.program,
                    installed.plan(&spec, setup.forwarding()),
                )
            }
        };
        let target = Target {
            address: spec.listen,
            socks5_destination: sidecar_plan::destination(setup.protocol, &spec),
        };
        let answers = async || answers(setup.protocol, programs, &target).await;
        let proxy = RunningProxy::start(setup.name, &program.path, spec, &plan, answers).await?;
        Ok(Some(Self {
            name: setup.name,
            kind,
            target,
            proxy: Some(proxy),
        }))
    }

    /// Its row, without values.
    pub(super) fn row(&self) -> Row {
        Row::new(self.name, self.kind)
    }

    /// The proxy's processes.
    pub(super) fn processes(&self) -> Option<ProcessTree> {
        self.proxy.as_ref().map(|proxy| proxy.processes)
    }

    /// Number of connections that the kernel tracks for each connection of the load.
    pub(super) fn tracked_connections(&self) -> u64 {
        if self.proxy.is_some() { 2 } else { 1 }
    }

    pub(super) async fn stop(self) {
        if let Some(proxy) = self.proxy {
            proxy.stop().await;
        }
    }
}

/// Whether the backend answers through the proxy at `target`.
async fn answers(protocol: ClientProtocol, programs: &Programs, target: &Target) -> bool {
    match (protocol, &programs.http_worker) {
        (ClientProtocol::Http(version), Some(launcher)) => {
            let one = HttpLoad {
                address: target.address,
                version,
                connections: 1,
                streams: 1,
                response_bytes: 1,
                behaviour: Behaviour::Hold,
            };
            let held = launcher.load(&one, FIRST_RESPONSE_TIMEOUT).await;
            held.is_ok_and(|(_, report)| report.done == 1)
        }
        _ => {
            let target = target.clone();
            let asked = tokio::task::spawn_blocking(move || target.answers());
            asked.await.unwrap_or_default()
        }
    }
}
