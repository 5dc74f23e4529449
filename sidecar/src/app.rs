//! Builds the sidecar, runs it, and shuts it down in order. Mesh, control plane, proxy and program are connected only
//! here.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activation::ActivatedSockets;
use crate::control::http::TokenCheck;
use crate::control::{self, Controller, Offers, Script, resp};
use crate::diagnostic::Diagnostics;
#[cfg(feature = "failpoints")]
use crate::failpoints;
use crate::http::{self, HostCheck, HostName};
use crate::interface::{self, Addresses};
use crate::limits::{BUDGET, OpenFiles, open_files};
use crate::mesh::Mesh;
use crate::proxy::Limits;
use crate::proxy::workers::{WorkerThreads, Workers};
use crate::settings::Settings;
use crate::status::{MeshStatus, Phase, Status};
use crate::supervise::{self, Event, Launcher, Supervisor};

/// Timeout for leaving the mesh.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// What a sidecar is started with, apart from its settings.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The launcher of its program, if it has one.
    pub launcher: Option<Launcher>,
    /// Sockets that its listeners use instead of binding their own.
    pub sockets: ActivatedSockets,
}

/// Runs the sidecar until it is asked to stop or its program, if it has a launcher, ends.
///
/// # Errors
/// When a part cannot be started; nothing is left running then.
pub async fn run(settings: Settings, inherited: Inherited) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "failpoints")]
    let settings = Settings {
        withdraw: failpoints::grace(settings.withdraw),
        program_grace: failpoints::grace(settings.program_grace),
        drain: failpoints::grace(settings.drain),
        ..settings
    };
    let mut supervisor = Supervisor::new(settings.end_with_stdin)?;
    let files = OpenFiles::raise();
    let limits = Limits::default();
    #[cfg(feature = "failpoints")]
    let limits = failpoints::limits(limits);
    let sockets = inherited.sockets;
    let sidecar = Sidecar::start(&settings, limits, &files, &sockets).await?;
    for address in sockets.unused() {
        tracing::warn!(%address, "no listener uses the socket that the sidecar was started with");
    }
    supervisor
        .start(inherited.launcher, settings.end_with_stdin)
        .await?;
    sidecar.phase.send_replace(Phase::Ready);
    tracing::info!("ready");
    let code = sidecar.run(&mut supervisor, &settings).await;
    sidecar.stop(settings.drain, &mut supervisor).await;
    Ok(ExitCode::from(code))
}

struct Sidecar {
    phase: watch::Sender<Phase>,
    controller: Arc<Controller>,
    mesh: Option<Mesh>,
    /// The control plane's and the status listener's servers.
    servers: TaskTracker,
    stop_servers: CancellationToken,
    /// The threads that relay connections.
    workers: WorkerThreads,
}

impl Sidecar {
    async fn start(
        settings: &Settings,
        limits: Limits,
        files: &OpenFiles,
        sockets: &ActivatedSockets,
    ) -> anyhow::Result<Self> {
        let offers = Offers::new();
        let mut addresses = Addresses::default();
        let mesh = match &settings.discovery {
            Some(config) => {
                let name = config.node_name.clone().unwrap_or_else(host_name);
                addresses = Addresses::watch(config.pinned(), &config.nic);
                Some(Mesh::start_at(&addresses, config.clone(), &name, offers.subscribe()).await?)
            }
            None => None,
        };
        match Self::serve(settings, limits, files, sockets, offers, addresses, mesh.as_ref()).await {
            Ok(serving) => Ok(Self { mesh, ..serving }),
            Err(error) => {
                if let Some(mesh) = mesh {
                    mesh.leave(LEAVE_TIMEOUT).await;
                }
                Err(error)
            }
        }
    }

    /// Starts everything except the mesh.
    async fn serve(
        settings: &Settings,
        limits: Limits,
        files: &OpenFiles,
        sockets: &ActivatedSockets,
        offers: Offers,
        addresses: Addresses,
        mesh: Option<&Mesh>,
    ) -> anyhow::Result<Self> {
        let (workers, threads) = Workers::start(settings.workers).context("cannot start the workers")?;
        // After all that every sidecar opens, and before listeners start.
        BUDGET.limit_to(files.limit(), open_files().unwrap_or_default());
        let instances = mesh.map(Mesh::instances);
        #[cfg(feature = "failpoints")]
        let instances = instances.map(failpoints::instances);
        let controller = Controller::new(offers, instances);
        let mut controller = controller
            .with_addresses(addresses)
            .with_workers(workers)
            .with_sockets(sockets.clone())
            .with_limits(limits)
            .with_open_proxies(settings.allow_open_proxies);
        run_script(&controller, &settings.script).await?;
        if let Some(path) = &settings.autosave {
            controller = controller.saving_to(path.clone()).await;
        }
        let controller = Arc::new(controller);
        let phase = watch::Sender::new(Phase::Starting);
        let servers = TaskTracker::new();
        let stop_servers = CancellationToken::new();
        let hosts = accepted_hosts(&settings.allowed_hosts);
        if let Some(door) = &settings.http_controller {
            let listener = bind(door.address, "--http-controller", sockets).await?;
            let controller = Arc::clone(&controller);
            let token = door
                .credential
                .clone()
                .map(|c| -> TokenCheck { Arc::new(move |t| c.matches(t.as_bytes())) });
            let door =
                move |_, request| control::http::handle(Arc::clone(&controller), token.clone(), request);
            servers.spawn(http::serve_within(
                http::Limits::default(),
                hosts.clone(),
                listener,
                door,
                stop_servers.clone(),
            ));
        }
        if let Some(door) = &settings.resp_controller {
            let listener = bind(door.address, "--resp-controller", sockets).await?;
            let (controller, password) = (Arc::clone(&controller), door.credential.clone());
            let limits = resp::Limits::default();
            servers.spawn(resp::serve(
                listener,
                controller,
                password,
                limits,
                stop_servers.clone(),
            ));
        }
        if let Some(address) = settings.status {
            let listener = bind(address, "--status", sockets).await?;
            let mesh = mesh.map(|m| {
                let view = m.view();
                #[cfg(feature = "failpoints")]
                let view = failpoints::view(view);
                MeshStatus {
                    view,
                    counters: m.counters(),
                    reachability: m.reachability(),
                }
            });
            let status = Status::new(phase.subscribe(), Arc::clone(&controller), mesh);
            let status = Arc::new(status.for_clients(settings.status_clients.clone()));
            let page = move |from, request| {
                let status = Arc::clone(&status);
                async move { status.answer(from, &request) }
            };
            servers.spawn(http::serve_within(
                http::Limits::default(),
                hosts,
                listener,
                page,
                stop_servers.clone(),
            ));
        }
        Ok(Self {
            phase,
            controller,
            mesh: None,
            servers,
            stop_servers,
            workers: threads,
        })
    }

    /// Runs until the program has ended or, without one, until the sidecar is asked to stop; returns the exit code.
    async fn run(&self, supervisor: &mut Supervisor, settings: &Settings) -> u8 {
        let status = match supervisor.next().await {
            Event::Ended(status) => {
                if status.success() {
                    tracing::info!("the program ended by itself");
                } else {
                    tracing::warn!(%status, "the program ended by itself");
                }
                Some(status)
            }
            Event::Stop(reason) | Event::Force(reason) => {
                tracing::info!(by = %reason, "stopping");
                self.phase.send_replace(Phase::Draining);
                let delay = if supervisor.has_program() {
                    self.withdraw(settings.withdraw)
                } else {
                    Duration::ZERO
                };
                supervisor.finish(reason, delay, settings.program_grace).await
            }
        };
        self.phase.send_replace(Phase::Draining);
        status.map_or(0, supervise::exit_code)
    }

    /// Withdraws the program's instances from the mesh. Returns the time for which the program must serve on, because
    /// other nodes may still connect to it.
    fn withdraw(&self, delay: Duration) -> Duration {
        if delay.is_zero() {
            return delay;
        }
        match self.controller.withdraw() {
            0 => Duration::ZERO,
            instances => {
                tracing::info!(
                    instances,
                    ?delay,
                    "withdrawn from the mesh; the program is signalled after a delay"
                );
                delay
            }
        }
    }

    /// Drains connections, leaves the mesh, and stops. Each step has a timeout.
    async fn stop(self, drain: Duration, supervisor: &mut Supervisor) {
        tokio::select! {
            aborted = self.controller.drain(drain) => {
                if aborted > 0 {
                    tracing::warn!(connections = aborted, "aborted connections that did not finish in time");
                }
            }
            reason = supervisor.forced() => tracing::warn!(by = %reason, "stopping at once"),
        }
        let mesh = self.mesh;
        #[cfg(feature = "failpoints")]
        let mesh = mesh.filter(|_| failpoints::leaves());
        if let Some(mesh) = mesh {
            mesh.leave(LEAVE_TIMEOUT).await;
        }
        self.stop_servers.cancel();
        self.servers.close();
        self.servers.wait().await;
        drop(self.workers);
        tracing::info!("stopped");
    }
}

async fn run_script(controller: &Controller, script: &Script) -> anyhow::Result<()> {
    let mut diagnostics = Vec::new();
    for line in &script.lines {
        if let Err(error) = controller.execute(line.command.clone()).await {
            diagnostics.push(line.diagnostic(&error));
        }
    }
    if diagnostics.is_empty() {
        Ok(())
    } else {
        bail!(
            "the configuration cannot be applied:\n{}",
            Diagnostics(diagnostics)
        )
    }
}

async fn bind(address: SocketAddr, flag: &str, sockets: &ActivatedSockets) -> anyhow::Result<TcpListener> {
    let listener = match sockets.take(address) {
        Some(socket) => socket
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(socket)),
        None => {
            interface::wait_until_unique(address.ip()).await;
            TcpListener::bind(address).await
        }
    };
    let listener = listener.with_context(|| format!("{flag}: cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "{flag}");
    Ok(listener)
}

/// The hosts by which clients may call the HTTP controller and the status listener.
fn accepted_hosts(allowed: &[HostName]) -> HostCheck {
    let own = host_name().parse::<HostName>().ok();
    HostCheck::Named(own.into_iter().chain(allowed.iter().cloned()).collect())
}

/// The host's name, which in a container is the container's id.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
