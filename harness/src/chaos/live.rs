//! Faults done to a mesh that runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::execute::Target;
use super::fault::Fault;
use super::netcuts::Netcuts;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::engine::Engine;
use crate::error::{Error, check};
use crate::verify::traffic::Traffic;

/// A mesh under traffic.
#[derive(Debug)]
pub struct Live {
    engine: Engine,
    mesh: tokio::sync::Mutex<Mesh>,
    traffic: Traffic,
    netcuts: Netcuts,
    slowed: Mutex<BTreeMap<String, Slowed>>,
}

/// A member that stands still by turns.
#[derive(Debug)]
struct Slowed {
    stop: CancellationToken,
    turns: AbortOnDropHandle<Result<(), Error>>,
}

impl Live {
    /// The mesh, with `traffic` on its routes, and `netcuts` to do the faults of its network.
    pub fn new(engine: Engine, mesh: Mesh, traffic: Traffic, netcuts: Netcuts) -> Self {
        Self {
            engine,
            mesh: tokio::sync::Mutex::new(mesh),
            traffic,
            netcuts,
            slowed: Mutex::default(),
        }
    }

    /// Its traffic.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The mesh as it is now.
    pub async fn mesh(&self) -> Mesh {
        self.mesh.lock().await.clone()
    }

    /// Changes one member without keeping others from being changed meanwhile.
    async fn change(
        &self,
        member: &str,
        change: impl AsyncFnOnce(&mut Mesh) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut changed = self.mesh().await;
        change(&mut changed).await?;
        let mut mesh = self.mesh.lock().await;
        mesh.take_over(member, &changed);
        // An engine may give a container that is started again other ports, and those that it had to somebody else.
        self.traffic.reroute(&open_routes(&mesh));
        Ok(())
    }

    async fn stop(&self, mesh: &mut Mesh, member: &str) -> Result<(), Error> {
        let (code, took) = mesh.stop(member).await?;
        check(
            code == 0,
            format!("{member} ends with exit code 0 when it is stopped"),
            format!("exit code {code}, after {took:.1?}"),
        )
    }

    async fn slow(&self, member: &str, time: Duration) {
        let stop = CancellationToken::new();
        let turns = tokio::spawn(turns(self.mesh().await, member.to_owned(), time, stop.clone()));
        let slowed = Slowed {
            stop,
            turns: AbortOnDropHandle::new(turns),
        };
        self.slowed().insert(member.to_owned(), slowed);
    }

    async fn hasten(&self, member: &str) -> Result<(), Error> {
        let slowed = self.slowed().remove(member);
        let Some(Slowed { stop, turns }) = slowed else {
            return Ok(());
        };
        stop.cancel();
        turns.await.map_err(|failed| {
            Error::environment(
                format!("slowing {member} down ended: {failed}"),
                "this is a bug in the harness: please report it with this output",
            )
        })?
    }

    fn slowed(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Slowed>> {
        self.slowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn try_begin(&self, fault: &Fault) -> Result<(), Error> {
        match fault {
            Fault::Stop { member } => {
                self.change(member, async |mesh| self.stop(mesh, member).await)
                    .await
            }
            Fault::Kill { member } => self.change(member, async |mesh| mesh.kill(member).await).await,
            Fault::Pause { member } => self.change(member, async |mesh| mesh.pause(member).await).await,
            Fault::Restart { member } => {
                let restart = async |mesh: &mut Mesh| {
                    self.stop(mesh, member).await?;
                    mesh.start_again(member).await
                };
                self.change(member, restart).await?;
                self.netcuts.renew(member, &self.mesh().await).await
            }
            Fault::Slow { member, ms } => {
                self.slow(member, Duration::from_millis(*ms)).await;
                Ok(())
            }
            Fault::CutNode { .. } | Fault::CutPair { .. } | Fault::CutOneWay { .. } | Fault::Lose { .. } => {
                self.netcuts.begin(fault, &self.mesh().await).await
            }
        }
    }

    /// A container that has ended of itself is what is wrong, and not what then could not be done to it.
    async fn blame(&self, fault: &Fault, error: Error) -> Error {
        if !matches!(error, Error::Environment { .. }) {
            return error;
        }
        let mesh = self.mesh().await;
        for member in fault.members() {
            let Ok(node) = mesh.node(member) else { continue };
            match self.engine.container(&node.container.id).await {
                Ok(container) if container.state == "exited" => {
                    let seen = format!("{} while it was to {fault}: {error}", container.status);
                    let blamed = check(false, format!("{member} runs until it is stopped"), seen);
                    return blamed.err().unwrap_or(error);
                }
                _ => {}
            }
        }
        error
    }
}

impl Target for Live {
    type Error = Error;

    async fn begin(&self, fault: &Fault) -> Result<(), Error> {
        match self.try_begin(fault).await {
            Err(error) => Err(self.blame(fault, error).await),
            Ok(()) => Ok(()),
        }
    }

    async fn heal(&self, fault: &Fault) -> Result<(), Error> {
        match fault {
            Fault::Stop { member } | Fault::Kill { member } => {
                self.change(member, async |mesh| mesh.start_again(member).await)
                    .await?;
                self.netcuts.renew(member, &self.mesh().await).await
            }
            Fault::Pause { member } => {
                let healed = self.change(member, async |mesh| mesh.unpause(member).await);
                match healed.await {
                    Err(error) => Err(self.blame(fault, error).await),
                    Ok(()) => Ok(()),
                }
            }
            Fault::Slow { member, .. } => match self.hasten(member).await {
                Err(error) => Err(self.blame(fault, error).await),
                Ok(()) => Ok(()),
            },
            Fault::Restart { .. } => Ok(()),
            Fault::CutNode { .. } | Fault::CutPair { .. } | Fault::CutOneWay { .. } | Fault::Lose { .. } => {
                self.netcuts.heal(fault, &self.mesh().await).await
            }
        }
    }
}

/// Lets a member stand still and go on by turns of `time` until it is told to stop; it goes on then.
async fn turns(mut mesh: Mesh, member: String, time: Duration, stop: CancellationToken) -> Result<(), Error> {
    loop {
        mesh.pause(&member).await?;
        stop.run_until_cancelled(tokio::time::sleep(time)).await;
        mesh.unpause(&member).await?;
        let going = stop.run_until_cancelled(tokio::time::sleep(time)).await;
        if going.is_none() {
            return Ok(());
        }
    }
}

/// The routes that begin at a port that is published, and where.
fn open_routes(mesh: &Mesh) -> Vec<(Route, SocketAddr)> {
    let located = |route: Route| {
        let node = mesh.node(&route.member).ok()?;
        let address = node.container.endpoint(route.container_port)?;
        Some((route, address))
    };
    mesh.topology().routes().into_iter().filter_map(located).collect()
}
