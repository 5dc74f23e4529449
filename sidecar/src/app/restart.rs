//! The restart by SIGUSR2, see [`crate::handover`]: starts a successor, gives way to it, and stands behind it if this is the
//! process that was started first.

use std::pin::pin;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Sidecar;
use crate::handover::parent::{self, ParentLink, Successors};
use crate::handover::successor::{Failure, READY_TIMEOUT, Socket};
use crate::handover::{State, Successor};
use crate::supervise::{self, Event, StopReason, Supervisor};

/// The end of an attempt to restart.
pub(super) enum Restart {
    /// The successor serves, and this process no longer accepts anything.
    HandedOver(Succession),
    /// It has failed, and this process goes on.
    Failed,
    /// The sidecar is to stop. The successor has been ended.
    Stopped(StopReason),
}

/// Why there is no successor.
enum Unready {
    Failed(Failure),
    Stopped(StopReason),
}

impl From<Failure> for Unready {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A successor that serves.
pub(super) struct Succession {
    successor: Successor,
    /// Reports of later successors, if this process was started first.
    later: Option<Successors>,
}

impl Sidecar {
    /// Starts a successor and hands over to it. `parent` is the link to the process that was started first, if this is
    /// another one.
    pub(super) async fn restart(
        &mut self,
        supervisor: &mut Supervisor,
        parent: Option<&ParentLink>,
    ) -> Restart {
        let unready = match self.succeed(supervisor, parent).await {
            Ok(succession) => return Restart::HandedOver(succession),
            Err(unready) => unready,
        };
        self.controller.abort_handover();
        match unready {
            Unready::Stopped(reason) => Restart::Stopped(reason),
            Unready::Failed(failure) => {
                let why = anyhow::Error::from(failure);
                tracing::warn!(
                    why = format!("{why:#}"),
                    "no restart: the successor has failed, this process goes on"
                );
                Restart::Failed
            }
        }
    }

    async fn succeed(
        &mut self,
        supervisor: &mut Supervisor,
        parent: Option<&ParentLink>,
    ) -> Result<Succession, Unready> {
        let (later, link) = match parent {
            Some(link) => (None, link.duplicate().map_err(Failure::Start)?),
            None => parent::link()
                .map(|(later, link)| (Some(later), link))
                .map_err(Failure::Start)?,
        };
        let sockets = self.sockets().await?;
        let mut successor = Successor::start(sockets, link, |pid| supervisor.watch(pid))?;
        let pid = successor.process.pid();
        tracing::info!(
            successor = pid.as_raw_pid(),
            "restarting: the successor is started"
        );
        let ready = timeout(READY_TIMEOUT, self.prepare(&mut successor));
        if let Err(unready) = until_ready(supervisor, ready).await {
            successor.kill().await;
            return Err(unready);
        }
        self.give_way().await;
        if let Some(link) = parent
            && let Err(error) = link.report(pid)
        {
            tracing::warn!(%error, "the process that was started first has ended");
        }
        successor.take_over().await;
        tracing::info!(successor = pid.as_raw_pid(), "restarted: the successor serves");
        Ok(Succession { successor, later })
    }

    /// All sockets that are listened on or read.
    async fn sockets(&self) -> Result<Vec<Socket>, Failure> {
        let mut sockets = self.servers.duplicates().map_err(Failure::Start)?;
        let mut descriptors = self.controller.sockets();
        if let Some(mesh) = &self.mesh {
            descriptors.extend(mesh.handed().await.ok_or(Failure::Mesh)?.sockets);
        }
        let unnamed = descriptors.into_iter().map(|descriptor| Socket {
            name: "socket",
            descriptor,
        });
        sockets.extend(unnamed);
        Ok(sockets)
    }

    /// Hands the state over, and waits until the successor can take over.
    async fn prepare(&self, successor: &mut Successor) -> Result<(), Failure> {
        successor.started().await?;
        let control = self.controller.begin_handover();
        let mesh = match &self.mesh {
            Some(mesh) => Some(mesh.handed().await.ok_or(Failure::Mesh)?.knowledge),
            None => None,
        };
        let state = State::new(control, mesh).encode()?;
        successor.apply(&state).await
    }

    /// Stops accepting and reading, without a word to anyone.
    async fn give_way(&mut self) {
        if let Some(mesh) = self.mesh.take() {
            mesh.stop().await;
        }
        self.controller.finish_handover().await;
        self.servers.stop();
    }

    /// Drains what is left after a restart, and ends: the process that was started first only after its last successor,
    /// with that one's exit code.
    pub(super) async fn retire(
        mut self,
        drain: Duration,
        supervisor: &mut Supervisor,
        succession: Succession,
    ) -> u8 {
        self.waypoint = None;
        let Succession { successor, later } = succession;
        supervisor.adopt(successor.process);
        let force = CancellationToken::new();
        let drained = self.finish(drain, &force);
        if later.is_some() {
            let ((), code) = tokio::join!(drained, stand_behind(supervisor, later, &force));
            return code;
        }
        supervisor.leave_children();
        tokio::select! {
            () = drained => 0,
            code = stand_behind(supervisor, None, &force) => code,
        }
    }

    async fn finish(self, drain: Duration, force: &CancellationToken) {
        let drained = async { tokio::join!(self.controller.drain(drain), self.servers.ended()).0 };
        if let Some(aborted) = force.run_until_cancelled(drained).await
            && aborted > 0
        {
            tracing::warn!(
                connections = aborted,
                "aborted connections that did not finish in time"
            );
        }
        tracing::info!("drained after the restart");
    }
}

/// Waits until a successor is ready, or the sidecar is to stop.
async fn until_ready(
    supervisor: &mut Supervisor,
    ready: impl Future<Output = Result<Result<(), Failure>, Elapsed>>,
) -> Result<(), Unready> {
    let mut ready = pin!(ready);
    loop {
        tokio::select! {
            outcome = &mut ready => return Ok(outcome.unwrap_or(Err(Failure::Late))?),
            event = supervisor.next() => match event {
                Event::Stop(reason) | Event::Force(reason) => return Err(Unready::Stopped(reason)),
                Event::Restart => tracing::info!("ignored SIGUSR2: a restart is under way"),
                // The file is read every second anyway.
                Event::Reread => {}
                // There is no program.
                Event::Ended(_) => {}
            },
        }
    }
}

/// Forwards signals to the successor that serves, until it ends; returns its exit code. `force` is cancelled if it is to
/// stop at once.
async fn stand_behind(
    supervisor: &mut Supervisor,
    mut later: Option<Successors>,
    force: &CancellationToken,
) -> u8 {
    loop {
        let next = async {
            match &mut later {
                Some(later) => later.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // First: a process reports its successor before it ends.
            biased;
            Some(pid) = next => supervisor.follow(pid),
            event = supervisor.next() => match event {
                Event::Ended(status) => {
                    tracing::info!(%status, "the successor has ended");
                    return supervise::exit_code(status);
                }
                Event::Force(reason) => {
                    force.cancel();
                    supervisor.signal(reason.signal());
                }
                Event::Stop(reason) => supervisor.signal(reason.signal()),
                // It is forwarded, for there is a program.
                Event::Restart | Event::Reread => {}
            },
        }
    }
}
