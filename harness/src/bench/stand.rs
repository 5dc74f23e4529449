//! What a load can be put on: a proxy, or none.

use std::net::SocketAddr;
use std::path::Path;

use super::accounting::Tree;
use super::contenders::Contender;
use super::load::Route;
use super::peer::{Installed, Program, Running};
use super::results::{Role, Row};
use crate::error::Error;

/// One of those that take turns.
#[derive(Debug)]
pub(super) struct Stand {
    pub(super) name: &'static str,
    role: Role,
    pub(super) route: Route,
    running: Option<Running>,
}

impl Stand {
    /// The backend itself.
    pub(super) fn direct(backend: SocketAddr) -> Self {
        Self {
            name: "direct",
            role: Role::Floor,
            route: Route {
                address: backend,
                destination: None,
            },
            running: None,
        }
    }

    /// `contender`, started before `backend`; none where its program is not there.
    pub(super) async fn start(
        contender: Contender,
        installed: &[Installed],
        backend: SocketAddr,
        connections: usize,
        directory: &Path,
    ) -> Result<Option<Self>, Error> {
        let Some(program) = installed.iter().find(|one| one.program == contender.program) else {
            return Ok(None);
        };
        let directory = directory.join(format!("{}-{:?}", contender.name, contender.door));
        let running = Running::start(contender, program, backend, connections, directory).await?;
        Ok(Some(Self {
            name: contender.name,
            role: match contender.program {
                Program::Sidecar => Role::Ours,
                Program::Rival(_) => Role::Rival,
            },
            route: running.route.clone(),
            running: Some(running),
        }))
    }

    pub(super) fn row(&self) -> Row {
        Row::new(self.name, self.role)
    }

    /// The proxy's processes.
    pub(super) fn tree(&self) -> Option<Tree> {
        self.running.as_ref().map(Running::tree)
    }

    /// Connections that the kernel tracks for each of the load's.
    pub(super) fn tracked(&self) -> u64 {
        if self.running.is_some() { 2 } else { 1 }
    }

    pub(super) async fn stop(self) {
        if let Some(running) = self.running {
            running.stop().await;
        }
    }
}
