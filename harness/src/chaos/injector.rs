//! Injects faults into a running mesh.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::execute::Injector;
use super::fault::Fault;
use super::network_faults::NetworkFaults;
use super::retry::Retry;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::engine::Engine;
use crate::error::{Error, check};
use crate::verify::traffic::Traffic;

/// A mesh under traffic, into which faults are injected.
#[derive(Debug)]
pub struct MeshInjector {
    engine: Engine,
    mesh: tokio::sync::Mutex<Mesh>,
    traffic: Traffic,
    network_faults: NetworkFaults,
    retry: Retry,
    slowed: Mutex<BTreeMap<String, Slowed>>,
}

/// A member that is frozen and unfrozen alternately.
#[derive(Debug)]
struct Slowed {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<(), Error>>,
}

impl MeshInjector {
    /// An injector for `mesh`, whose routes carry `traffic`. Engine calls that fail are repeated by `retry`.
    pub fn new(
        engine: Engine,
        mesh: Mesh,
        traffic: Traffic,
        network_faults: NetworkFaults,
        retry: Retry,
    ) -> Self {
        Self {
            engine,
            mesh: tokio::sync::Mutex::new(mesh),
            traffic,
            network_faults,
            retry,
            slowed: Mutex::default(),
        }
    }

    /// The traffic on the mesh.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The mesh's current state.
    pub async fn mesh(&self) -> Mesh {
        self.mesh.lock().await.clone()
    }

    /// Changes one member. Works on a copy of the mesh, so that other members can change at the same time.
    async fn change(
        &self,
        member: &str,
        change: impl AsyncFnOnce(&mut Mesh) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut changed = self.mesh().await;
        change(&mut changed).await?;
        let mut mesh = self.mesh.lock().await;
        mesh.take_over(member, &changed);
        // A restarted container may get other published ports, and its old ones may be reused.
        self.traffic.reroute(&open_routes(&mesh));
        Ok(())
    }

    async fn stop(&self, mesh: &mut Mesh, member: &str) -> Result<(), Error> {
        let (code, took) = self.retry.once(async || mesh.stop(member).await).await?;
        check(
            code == 0,
            format!("{member} ends with exit code 0 when it is stopped"),
            format!("exit code {code}, after {took:.1?}"),
        )
    }

    async fn start_again(&self, mesh: &mut Mesh, member: &str) -> Result<(), Error> {
        self.retry.once(async || mesh.start_again(member).await).await
    }

    async fn slow(&self, member: &str, time: Duration) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(freeze_alternately(
            self.mesh().await,
            member.to_owned(),
            time,
            stop.clone(),
            self.retry.clone(),
        ));
        let slowed = Slowed {
            stop,
            task: AbortOnDropHandle::new(task),
        };
        self.slowed().insert(member.to_owned(), slowed);
    }

    async fn stop_slowing(&self, member: &str) -> Result<(), Error> {
        let slowed = self.slowed().remove(member);
        let Some(Slowed { stop, task }) = slowed else {
            return Ok(());
        };
        stop.cancel();
        task.await.map_err(|failed| {
            Error::environment(
                format!("the task that slows {member} down failed: {failed}"),
                "this is a bug in the harness: please report it with this output",
            )
        })?
    }

    fn slowed(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Slowed>> {
        self.slowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn try_inject(&self, fault: &Fault) -> Result<(), Error> {
        match fault {
            Fault::Stop { member } => {
                self.change(member, async |mesh| self.stop(mesh, member).await)
                    .await
            }
            Fault::Kill { member } => {
                let kill = async |mesh: &mut Mesh| self.retry.once(async || mesh.kill(member).await).await;
                self.change(member, kill).await
            }
            Fault::Pause { member } => {
                let pause = async |mesh: &mut Mesh| self.retry.once(async || mesh.pause(member).await).await;
                self.change(member, pause).await
            }
            Fault::Restart { member } => {
                let restart = async |mesh: &mut Mesh| {
                    self.stop(mesh, member).await?;
                    self.start_again(mesh, member).await
                };
                self.change(member, restart).await?;
                self.network_faults.reapply(member, &self.mesh().await).await
            }
            Fault::Slow { member, ms } => {
                self.slow(member, Duration::from_millis(*ms)).await;
                Ok(())
            }
            Fault::CutNode { .. } | Fault::CutPair { .. } | Fault::CutOneWay { .. } | Fault::Lose { .. } => {
                self.network_faults.inject(fault, &self.mesh().await).await
            }
        }
    }

    /// Replaces an engine's error by a failed check if the container exited on its own.
    async fn explain_exit(&self, fault: &Fault, error: Error) -> Error {
        if !matches!(error, Error::Environment { .. }) {
            return error;
        }
        let mesh = self.mesh().await;
        for member in fault.members() {
            let Ok(node) = mesh.node(member) else { continue };
            match self.engine.container(&node.container.id).await {
                Ok(container) if container.state == "exited" => {
                    let seen = format!("{} during {fault}: {error}", container.status);
                    let failed = check(false, format!("{member} runs until it is stopped"), seen);
                    return failed.err().unwrap_or(error);
                }
                _ => {}
            }
        }
        error
    }
}

impl Injector for MeshInjector {
    type Error = Error;

    async fn inject(&self, fault: &Fault) -> Result<(), Error> {
        match self.try_inject(fault).await {
            Err(error) => Err(self.explain_exit(fault, error).await),
            Ok(()) => Ok(()),
        }
    }

    async fn heal(&self, fault: &Fault) -> Result<(), Error> {
        match fault {
            Fault::Stop { member } | Fault::Kill { member } => {
                self.change(member, async |mesh| self.start_again(mesh, member).await)
                    .await?;
                self.network_faults.reapply(member, &self.mesh().await).await
            }
            Fault::Pause { member } => {
                let unpause =
                    async |mesh: &mut Mesh| self.retry.once(async || mesh.unpause(member).await).await;
                match self.change(member, unpause).await {
                    Err(error) => Err(self.explain_exit(fault, error).await),
                    Ok(()) => Ok(()),
                }
            }
            Fault::Slow { member, .. } => match self.stop_slowing(member).await {
                Err(error) => Err(self.explain_exit(fault, error).await),
                Ok(()) => Ok(()),
            },
            Fault::Restart { .. } => Ok(()),
            Fault::CutNode { .. } | Fault::CutPair { .. } | Fault::CutOneWay { .. } | Fault::Lose { .. } => {
                self.network_faults.heal(fault, &self.mesh().await).await
            }
        }
    }
}

/// Freezes and unfreezes a member alternately, for `time` each, until it is cancelled. Leaves the member unfrozen.
async fn freeze_alternately(
    mut mesh: Mesh,
    member: String,
    time: Duration,
    stop: CancellationToken,
    retry: Retry,
) -> Result<(), Error> {
    loop {
        set_frozen(&mut mesh, &member, true, &retry).await?;
        stop.run_until_cancelled(tokio::time::sleep(time)).await;
        set_frozen(&mut mesh, &member, false, &retry).await?;
        let unfrozen = stop.run_until_cancelled(tokio::time::sleep(time)).await;
        if unfrozen.is_none() {
            return Ok(());
        }
    }
}

async fn set_frozen(mesh: &mut Mesh, member: &str, frozen: bool, retry: &Retry) -> Result<(), Error> {
    let mut attempt = async || {
        if frozen {
            mesh.pause(member).await
        } else {
            mesh.unpause(member).await
        }
    };
    let first = attempt().await;
    if retry.is_due(&first).await {
        attempt().await
    } else {
        first
    }
}

/// The routes whose ports are published, with their addresses.
fn open_routes(mesh: &Mesh) -> Vec<(Route, SocketAddr)> {
    let located = |route: Route| {
        let node = mesh.node(&route.member).ok()?;
        let address = node.container.endpoint(route.container_port)?;
        Some((route, address))
    };
    mesh.topology().routes().into_iter().filter_map(located).collect()
}
