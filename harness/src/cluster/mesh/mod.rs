//! A mesh that runs: its containers, what their sidecars say, and the changes made to it.

mod change;
mod cut;
mod last_words;
mod ready;
mod start;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::cluster::answer::{self, Answer};
use crate::cluster::convergence::{self, Beside, Seen};
use crate::cluster::mesh_view;
use crate::cluster::project;
use crate::cluster::topology::{Member, Route, Topology};
use crate::engine::{Container, Engine, EngineError, label};
use crate::error::Error;
pub use cut::Cut;
use start::Ground;
pub use start::Ownership;

/// Time that a sidecar has to give its view.
const VIEW_LIMIT: Duration = Duration::from_secs(1);
/// Time that a request of a check may take; the frontend itself answers within 5 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(7);

/// The containers of one mesh.
#[derive(Debug, Clone)]
pub struct Mesh {
    engine: Engine,
    topology: Topology,
    nodes: Vec<Node>,
    last_start: Instant,
    /// None where another process started it.
    ground: Option<Ground>,
    /// The helpers that cut the network now.
    netcuts: Vec<String>,
}

/// A member of the mesh and its container.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is to be.
    pub member: Member,
    /// What the engine says of it.
    pub container: Container,
    /// Whether it should run: it does not once it was stopped on purpose.
    pub wanted: bool,
}

impl Mesh {
    /// The mesh of `topology`'s project that runs already, whoever started it; members without a container are
    /// left out.
    ///
    /// # Errors
    /// The engine's, or no container of the project is there.
    pub async fn attach(engine: &Engine, topology: Topology) -> Result<Self, Error> {
        let project = topology.project.clone();
        let containers = engine
            .containers(&format!("{}={project}", label::PROJECT))
            .await?;
        let node = |member: &Member| {
            let of_member = |c: &&Container| c.label(label::SERVICE) == member.name();
            let container = containers.iter().find(of_member)?.clone();
            Some(Node {
                member: member.clone(),
                wanted: container.running(),
                container,
            })
        };
        let nodes: Vec<Node> = topology.members.iter().filter_map(node).collect();
        if nodes.is_empty() {
            return Err(project::no_mesh(&project));
        }
        Ok(Self {
            engine: engine.clone(),
            topology,
            nodes,
            last_start: Instant::now(),
            ground: None,
            netcuts: Vec::new(),
        })
    }

    /// What it is to be.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Its containers, sorted by their members' names.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What runs it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// When a container of it was last started.
    pub fn last_start(&self) -> Instant {
        self.last_start
    }

    /// The node of this name.
    ///
    /// # Errors
    /// It has none.
    pub fn node(&self, name: &str) -> Result<&Node, Error> {
        let found = self.nodes.iter().find(|node| node.member.name() == name);
        found.ok_or_else(|| {
            Error::environment(
                format!("the mesh has no `{name}`"),
                "look at compose/compose.yaml",
            )
        })
    }

    /// Every way to a service with the address on this machine where it begins.
    ///
    /// # Errors
    /// A port is not published (any more).
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

    /// One request on one route.
    ///
    /// # Errors
    /// What went wrong, as [`answer::ask`] says it.
    pub async fn ask(&self, route: &(Route, SocketAddr)) -> Result<Answer, String> {
        answer::ask(route.1, &route.0, REQUEST_LIMIT).await
    }

    /// What the sidecar of every container says that should run.
    pub async fn look(&self) -> Vec<Seen> {
        join_all(self.wanted().map(|node| async {
            let view = match node.container.endpoint(node.member.status_port) {
                Some(address) => mesh_view::fetch(address, VIEW_LIMIT).await,
                None => Err(format!(
                    "its status port {} is not published",
                    node.member.status_port
                )),
            };
            Seen {
                name: node.member.name().to_owned(),
                host: node.container.short_id().to_owned(),
                role: node.member.role.clone(),
                view,
            }
        }))
        .await
    }

    /// All in which the running sidecars' views differ from what should run, and so from each other.
    pub async fn disagreements(&self) -> Vec<String> {
        convergence::disagreements(&self.look().await)
    }

    /// The nodes beside the topology that all views of `seen` agree on and that are there. Whose name is a container's
    /// id is there while that container runs and is none of the mesh's own; of any other name the views are believed.
    ///
    /// # Errors
    /// The engine's.
    pub async fn beside(&self, seen: &[Seen]) -> Result<Vec<Beside>, EngineError> {
        let mut found = convergence::beside(seen);
        found.retain(|stranger| {
            self.nodes
                .iter()
                .all(|node| node.container.short_id() != stranger.name)
        });
        if found.is_empty() {
            return Ok(found);
        }
        let all = self.engine.all_containers().await?;
        let id = |name: &str| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let runs = |name: &str| {
            all.iter()
                .any(|other| other.running() && other.short_id() == name)
        };
        found.retain(|stranger| !id(&stranger.name) || runs(&stranger.name));
        Ok(found)
    }

    /// Asks the engine anew for every container.
    ///
    /// # Errors
    /// The engine's; or a container is gone.
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

    /// Stops all containers gracefully, all at once; answers with those that did not end well: the engine could
    /// not stop them, or their exit code was not 0.
    pub async fn stop_all(&self) -> Vec<String> {
        let stops = self.wanted().map(|node| async {
            let grace = node.member.service.stop_grace_period;
            match self.engine.stop(&node.container.id, grace).await {
                Ok(0) => None,
                Ok(code) => Some(format!("{} ended with exit code {code}", node.container.name)),
                // Somebody else has taken it away, and so it has stopped.
                Err(EngineError::Missing { .. }) => None,
                Err(error) => Some(format!("{}: {error}", node.container.name)),
            }
        });
        join_all(stops).await.into_iter().flatten().collect()
    }

    /// The resident memory of each running member's sidecar in KiB, with the member's name.
    ///
    /// # Errors
    /// The engine's; or a container without a sidecar.
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

    fn ground(&self) -> Result<&Ground, Error> {
        self.ground.as_ref().ok_or_else(|| {
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
