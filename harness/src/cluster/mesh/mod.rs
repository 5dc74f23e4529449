//! A running mesh: its containers, their sidecars' views, and its changes.

mod attach;
mod change;
mod cut;
mod log_tail;
mod readiness;
mod start;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::cluster::answer::{self, Answer};
use crate::cluster::convergence::{self, ForeignNode, NodeView};
use crate::cluster::mesh_view;
use crate::cluster::topology::{Member, Route, Topology};
use crate::engine::{Container, Engine, EngineError};
use crate::error::Error;
pub use cut::Cut;
use start::MeshSpec;
pub use start::Ownership;

/// Timeout for a sidecar's view.
const VIEW_LIMIT: Duration = Duration::from_secs(1);
/// Timeout for a request of a check; the frontend itself answers within 5 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(7);

/// The containers of one mesh.
#[derive(Debug, Clone)]
pub struct Mesh {
    engine: Engine,
    topology: Topology,
    nodes: Vec<Node>,
    last_start: Instant,
    /// `None` if another process started the mesh.
    spec: Option<MeshSpec>,
    /// The helpers that cut the network, by their ids.
    netcuts: Vec<String>,
}

/// A member of the mesh and its container.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its description.
    pub member: Member,
    /// Its container, as last reported by the engine.
    pub container: Container,
    /// Whether it should be running: false after it was stopped on purpose.
    pub wanted: bool,
}

impl Mesh {
    /// Its topology.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Its containers, sorted by their members' names.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The engine that it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Start time of the container that was started last.
    pub fn last_start(&self) -> Instant {
        self.last_start
    }

    /// The node of this name.
    ///
    /// # Errors
    /// The mesh has no such node.
    pub fn node(&self, name: &str) -> Result<&Node, Error> {
        let found = self.nodes.iter().find(|node| node.member.name() == name);
        found.ok_or_else(|| {
            Error::environment(
                format!("the mesh has no `{name}`"),
                "use a name from compose/compose.yaml",
            )
        })
    }

    /// All routes, each with its address on the host.
    ///
    /// # Errors
    /// A port is not published, or its container has exited.
    pub fn routes(&self) -> Result<Vec<(Route, SocketAddr)>, Error> {
        let located = |route: Route| {
            let node = self.node(&route.member)?;
            let address = node.container.endpoint(route.container_port).ok_or_else(|| {
                let what = format!(
                    "{} does not publish port {}",
                    node.container.name, route.container_port
                );
                Error::environment(what, "check whether it is still running (`docker ps -a`)")
            })?;
            Ok((route, address))
        };
        self.topology.routes().into_iter().map(located).collect()
    }

    /// Sends one request on a route.
    ///
    /// # Errors
    /// As [`answer::ask`].
    pub async fn ask(&self, route: &(Route, SocketAddr)) -> Result<Answer, String> {
        answer::ask(route.1, &route.0, REQUEST_LIMIT).await
    }

    /// The views of the sidecars in all containers that should be running.
    pub async fn views(&self) -> Vec<NodeView> {
        join_all(self.wanted().map(|node| async {
            let view = match node.container.endpoint(node.member.status_port) {
                Some(address) => mesh_view::fetch(address, VIEW_LIMIT).await,
                None => Err(format!(
                    "its status port {} is not published",
                    node.member.status_port
                )),
            };
            NodeView {
                name: node.member.name().to_owned(),
                host: node.container.short_id().to_owned(),
                role: node.member.role.clone(),
                view,
            }
        }))
        .await
    }

    /// The differences between the sidecars' views and the members that should be running, one line each.
    pub async fn disagreements(&self) -> Vec<String> {
        convergence::disagreements(&self.views().await, &[])
    }

    /// The nodes outside the topology that all views agree on and that exist. A node named after a container exists if
    /// that container is running and does not belong to the mesh; a node with any other name is assumed to exist.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn foreign_nodes(&self, views: &[NodeView]) -> Result<Vec<ForeignNode>, EngineError> {
        let mut found = convergence::foreign_nodes(views);
        let own = |name: &str| self.nodes.iter().any(|node| node.container.short_id() == name);
        found.retain(|foreign| !own(&foreign.name));
        if found.is_empty() {
            return Ok(found);
        }
        let all = self.engine.all_containers().await?;
        let id = |name: &str| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let runs = |name: &str| {
            all.iter()
                .any(|other| other.running() && other.short_id() == name)
        };
        found.retain(|foreign| !id(&foreign.name) || runs(&foreign.name));
        Ok(found)
    }

    /// Updates every node's container from the engine.
    ///
    /// # Errors
    /// A container no longer exists, or the engine fails.
    pub async fn refresh(&mut self) -> Result<(), Error> {
        let containers = join_all(
            self.nodes
                .iter()
                .map(|node| self.engine.container(&node.container.id)),
        )
        .await;
        for (node, container) in self.nodes.iter_mut().zip(containers) {
            node.container = container?;
        }
        Ok(())
    }

    /// Stops all containers gracefully and concurrently. Returns the failures, one line each: the engine could not stop
    /// a container, or its exit code was not 0.
    pub async fn stop_all(&self) -> Vec<String> {
        let stops = self.wanted().map(|node| async {
            let grace = node.member.service.stop_grace_period;
            match self.engine.stop(&node.container.id, grace).await {
                Ok(0) => None,
                Ok(code) => Some(format!("{} ended with exit code {code}", node.container.name)),
                // Another process has removed it.
                Err(EngineError::Missing { .. }) => None,
                Err(error) => Some(format!("{}: {error}", node.container.name)),
            }
        });
        join_all(stops).await.into_iter().flatten().collect()
    }

    /// The resident memory of each running member's sidecar, in KiB.
    ///
    /// # Errors
    /// A container has no sidecar process, or the engine fails.
    pub async fn sidecar_memory(&self) -> Result<Vec<(String, u64)>, Error> {
        let one = async |node: &Node| {
            let processes = self.engine.processes(&node.container.id).await?;
            let sidecar = processes.iter().find(|process| process.program == "sidecar");
            let lacking = || format!("{} runs no `sidecar` but {processes:?}", node.container.name);
            let found = sidecar.ok_or_else(|| Error::environment(lacking(), "look at its image"))?;
            Ok((node.member.name().to_owned(), found.resident_kib))
        };
        join_all(self.wanted().map(one)).await.into_iter().collect()
    }

    fn spec(&self) -> Result<&MeshSpec, Error> {
        self.spec.as_ref().ok_or_else(|| {
            Error::environment(
                format!(
                    "the mesh `{}` was started by another process",
                    self.topology.project
                ),
                "change it from there, or start one of your own",
            )
        })
    }

    fn wanted(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.wanted)
    }
}
