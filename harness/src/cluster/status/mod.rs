//! The status of a whole mesh: each node's state, the instances of all services as one list, and what is wrong.

mod instances;
mod node;

use futures_util::future::join;
use serde::Serialize;

use crate::cluster::convergence::{self, ForeignNode, NodeView};
use crate::cluster::mesh::Mesh;
use crate::engine::EngineError;
pub use instances::InstanceStatus;
pub use node::{NodeStatus, State};

/// The status of a mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeshStatus {
    /// The mesh's name.
    pub mesh: String,
    /// The runtime's name, as accepted by `--runtime`.
    pub runtime: String,
    /// The members, sorted by name.
    pub nodes: Vec<NodeStatus>,
    /// The instances that at least one sidecar knows, sorted by service and name.
    pub instances: Vec<InstanceStatus>,
    /// The nodes outside the topology that all sidecars know.
    pub foreign: Vec<ForeignNode>,
    /// What is wrong, one sentence each: nodes that are not ready, and where a sidecar's view deviates. Empty if all
    /// sidecars see the same mesh and it is complete.
    pub problems: Vec<String>,
}

impl MeshStatus {
    /// The status that `nodes` and the sidecars' `views` add up to.
    fn new(
        mesh: &str,
        runtime: &str,
        nodes: Vec<NodeStatus>,
        views: &[NodeView],
        foreign: Vec<ForeignNode>,
    ) -> Self {
        let mut problems: Vec<String> = nodes.iter().filter_map(NodeStatus::problem).collect();
        // A stopped member is not among the views, which report it by its host name.
        let named = |problem: String| {
            nodes.iter().fold(problem, |problem, node| match &node.id {
                Some(id) => problem.replace(id, &node.name),
                None => problem,
            })
        };
        problems.extend(convergence::disagreements(views, &foreign).into_iter().map(named));
        let instances = instances::listed(views, &nodes);
        Self {
            mesh: mesh.to_owned(),
            runtime: runtime.to_owned(),
            nodes,
            instances,
            foreign,
            problems,
        }
    }

    /// Number of nodes that are ready.
    pub fn ready(&self) -> usize {
        let ready = |node: &&NodeStatus| node.state == State::Ready;
        self.nodes.iter().filter(ready).count()
    }
}

impl Mesh {
    /// The status of the mesh now.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn status(&self) -> Result<MeshStatus, EngineError> {
        let (views, pages) = join(self.views(), node::readiness_pages(self)).await;
        let foreign = self.foreign_nodes(&views).await?;
        let nodes = node::statuses(self, &views, &pages);
        let (mesh, runtime) = (&self.topology().project, self.engine().name());
        Ok(MeshStatus::new(mesh, runtime, nodes, &views, foreign))
    }
}
