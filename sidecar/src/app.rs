//! Builds the sidecar, runs it, and shuts it down in order. Mesh, control plane, proxy and program are connected only
//! here.

mod restart;
mod servers;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::restart::{Restart, Succession};
use self::servers::Servers;
use crate::activation::ActivatedSockets;
use crate::control::{ControlState, Controller, Offers, Script};
use crate::diagnostic::Diagnostics;
#[cfg(feature = "failpoints")]
use crate::failpoints;
use crate::handover::parent::ParentLink;
use crate::handover::{Predecessor, State};
use crate::http::{HostCheck, HostName};
use crate::interface::Addresses;
use crate::limits::{BUDGET, OpenFiles, open_files};
use crate::mesh::{Earlier, Mesh};
use crate::proxy::Limits;
use crate::proxy::workers::{WorkerThreads, Workers};
use crate::settings::{Settings, WaypointSettings};
use crate::status::Phase;
use crate::supervise::{self, Event, Launcher, StopReason, Supervisor};
use crate::waypoint;

/// Timeout for leaving the mesh.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// What a sidecar is started with, apart from its settings.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The launcher of its program, if it has one.
    pub launcher: Option<Launcher>,
    /// Sockets that its listeners use instead of binding their own.
    pub sockets: ActivatedSockets,
    /// The process that it takes over from, if there is one.
    pub predecessor: Option<Predecessor>,
}

impl Inherited {
    /// Waits for the state of the process that it takes over from, if there is one.
    ///
    /// # Errors
    /// When the state does not arrive, or cannot be used.
    pub fn state(&mut self) -> anyhow::Result<Option<State>> {
        self.predecessor.as_mut().map(Predecessor::state).transpose()
    }
}

/// The parts that a sidecar is built with, apart from its settings.
struct Parts<'a> {
    limits: Limits,
    files: &'a OpenFiles,
    sockets: &'a ActivatedSockets,
    /// Once cancelled, it accepts and reads; `None` does at once.
    opened: Option<CancellationToken>,
}

/// Runs the sidecar until it is asked to stop, its program, if it has a launcher, ends, or the last of its successors
/// does.
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
    let mut settings = settings;
    let mut supervisor = Supervisor::new(settings.end_with_stdin)?;
    let files = OpenFiles::raise();
    let limits = Limits::default();
    #[cfg(feature = "failpoints")]
    let limits = failpoints::limits(limits);
    let Inherited {
        launcher,
        sockets,
        predecessor,
    } = inherited;
    let opened = predecessor.is_some().then(CancellationToken::new);
    let earlier = settings.earlier.take();
    let parts = Parts {
        limits,
        files: &files,
        sockets: &sockets,
        opened: opened.clone(),
    };
    let mut sidecar = Sidecar::start(&settings, parts, earlier).await?;
    if opened.is_some() {
        // Of listeners that were removed in between.
        sockets.close_unused();
    }
    for address in sockets.unused() {
        tracing::warn!(%address, "no listener uses the socket that the sidecar was started with");
    }
    supervisor.start(launcher, settings.end_with_stdin).await?;
    let parent = match predecessor {
        Some(predecessor) => Some(predecessor.take_over().await?),
        None => None,
    };
    sidecar.phase.send_replace(Phase::Ready);
    if let Some(opened) = opened {
        opened.cancel();
    }
    tracing::info!("ready");
    let end = sidecar.run(&mut supervisor, &settings, parent.as_ref()).await;
    let code = match end {
        End::Stopped(code) => {
            sidecar.stop(settings.drain, &mut supervisor).await;
            code
        }
        End::HandedOver(succession) => sidecar.retire(settings.drain, &mut supervisor, succession).await,
    };
    Ok(ExitCode::from(code))
}

/// Why a sidecar serves no longer.
enum End {
    /// It is to stop, with this exit code.
    Stopped(u8),
    /// Its successor serves.
    HandedOver(Succession),
}

struct Sidecar {
    phase: watch::Sender<Phase>,
    controller: Arc<Controller>,
    mesh: Option<Mesh>,
    servers: Servers,
    /// The loop of a waypoint, if it is one.
    waypoint: Option<AbortOnDropHandle<()>>,
    /// The threads that relay connections.
    workers: WorkerThreads,
}

impl Sidecar {
    async fn start(settings: &Settings, parts: Parts<'_>, earlier: Option<State>) -> anyhow::Result<Self> {
        let offers = Offers::new();
        let (control, knowledge) = match earlier {
            Some(state) => (Some(state.control), state.mesh),
            None => (None, None),
        };
        let config = settings.discovery.as_ref();
        // Also without discovery: each health check and each question to a name server needs them.
        let addresses = Addresses::watch(
            config.and_then(|config| config.pinned()),
            config.map(|config| config.nic.as_str()),
        );
        let mesh = match config {
            Some(config) => {
                let name = config.node_name.clone().unwrap_or_else(host_name);
                let ended = parts.opened.clone();
                let earlier = knowledge.zip(ended);
                let earlier = earlier.map(|(knowledge, ended)| Earlier { knowledge, ended });
                let (offers, sockets) = (offers.subscribe(), parts.sockets.clone());
                Some(Mesh::start_at(&addresses, config.clone(), &name, offers, sockets, earlier).await?)
            }
            None => None,
        };
        let takes_over = parts.opened.is_some();
        match Self::serve(settings, parts, offers, addresses, mesh.as_ref(), control).await {
            Ok(serving) => Ok(Self { mesh, ..serving }),
            Err(error) => {
                // A node that another process runs must not leave.
                if let Some(mesh) = mesh.filter(|_| !takes_over) {
                    mesh.leave(LEAVE_TIMEOUT).await;
                }
                Err(error)
            }
        }
    }

    /// Starts everything except the mesh.
    async fn serve(
        settings: &Settings,
        parts: Parts<'_>,
        offers: Offers,
        addresses: Addresses,
        mesh: Option<&Mesh>,
        earlier: Option<ControlState>,
    ) -> anyhow::Result<Self> {
        let Parts {
            limits,
            files,
            sockets,
            opened,
        } = parts;
        let (workers, threads) = Workers::start(settings.workers).context("cannot start the workers")?;
        // After all that every sidecar opens, and before listeners start.
        BUDGET.limit_to(files.limit(), open_files().unwrap_or_default());
        let instances = mesh.map(Mesh::instances);
        #[cfg(feature = "failpoints")]
        let instances = instances.map(failpoints::instances);
        let controller = Controller::new(offers, instances);
        let mut controller = controller
            .with_addresses(addresses)
            .with_workers(workers.opened_by(opened.clone()))
            .with_sockets(sockets.clone())
            .with_limits(limits)
            .with_open_proxies(settings.allow_open_proxies)
            .with_resolver(settings.resolver.clone());
        run_script(&controller, &settings.script).await?;
        if let Some(earlier) = earlier {
            controller.resume(&earlier);
        }
        if let Some(path) = &settings.autosave {
            controller = controller.saving_to(path.clone()).await;
        }
        let controller = Arc::new(controller);
        let phase = watch::Sender::new(Phase::Starting);
        let hosts = accepted_hosts(&settings.allowed_hosts);
        let servers = Servers::start(settings, sockets, &controller, &phase, mesh, opened, hosts).await?;
        let waypoint = settings
            .waypoint
            .as_ref()
            .map(|WaypointSettings { target, listen }| {
                let run = waypoint::run(Arc::clone(&controller), target.clone(), *listen);
                AbortOnDropHandle::new(tokio::spawn(run))
            });
        Ok(Self {
            phase,
            controller,
            mesh: None,
            servers,
            waypoint,
            workers: threads,
        })
    }

    /// Runs until the program has ended or, without one, until the sidecar is asked to stop or has restarted. `parent` is
    /// the link to the process that was started first, if this is another one.
    async fn run(
        &mut self,
        supervisor: &mut Supervisor,
        settings: &Settings,
        parent: Option<&ParentLink>,
    ) -> End {
        let status = loop {
            match next(supervisor, parent).await {
                Event::Ended(status) => {
                    if status.success() {
                        tracing::info!("the program ended by itself");
                    } else {
                        tracing::warn!(%status, "the program ended by itself");
                    }
                    break Some(status);
                }
                Event::Stop(reason) | Event::Force(reason) => {
                    self.stopping(reason);
                    let delay = if supervisor.has_program() {
                        self.withdraw(settings.withdraw)
                    } else {
                        Duration::ZERO
                    };
                    break supervisor.finish(reason, delay, settings.program_grace).await;
                }
                Event::Reread => {
                    if !self.mesh.as_ref().is_some_and(Mesh::read_key) {
                        tracing::info!("ignored SIGHUP: there is no mesh key to read again");
                    }
                }
                Event::Restart => match self.restart(supervisor, parent).await {
                    Restart::HandedOver(succession) => return End::HandedOver(succession),
                    Restart::Failed => {}
                    Restart::Stopped(reason) => {
                        self.stopping(reason);
                        break None;
                    }
                },
            }
        };
        self.waypoint = None;
        self.phase.send_replace(Phase::Draining);
        End::Stopped(status.map_or(0, supervise::exit_code))
    }

    fn stopping(&self, reason: StopReason) {
        tracing::info!(by = %reason, "stopping");
        self.phase.send_replace(Phase::Draining);
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
    async fn stop(mut self, drain: Duration, supervisor: &mut Supervisor) {
        tokio::select! {
            aborted = self.controller.drain(drain) => {
                if aborted > 0 {
                    tracing::warn!(connections = aborted, "aborted connections that did not finish in time");
                }
            }
            reason = supervisor.forced() => tracing::warn!(by = %reason, "stopping at once"),
        }
        let mesh = self.mesh.take();
        #[cfg(feature = "failpoints")]
        let mesh = mesh.filter(|_| failpoints::leaves());
        if let Some(mesh) = mesh {
            mesh.leave(LEAVE_TIMEOUT).await;
        }
        self.servers.stop();
        self.servers.ended().await;
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

/// Waits for the next event. The end of the process that was started first is one as well: nobody could signal this one.
async fn next(supervisor: &mut Supervisor, parent: Option<&ParentLink>) -> Event {
    let parent_ended = async {
        match parent {
            Some(link) => link.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        event = supervisor.next() => event,
        () = parent_ended => Event::Stop(StopReason::ParentEnd),
    }
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
