//! The private mesh of a bench.

use std::time::Duration;

use crate::cluster::cleanup;
use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::Topology;
use crate::console::Progress;
use crate::engine::{Engine, EngineError, Image, label};
use crate::error::Error;
use crate::verify::suite::READY_LIMIT;

/// Environment variable with the token of a sidecar's controller. The bench sets it: otherwise each sidecar makes one that
/// it tells its program alone.
pub(super) const TOKEN_VARIABLE: &str = "SIDECAR_HTTP_TOKEN";

/// The private mesh of a bench, which can be started repeatedly.
#[derive(Debug, Clone)]
pub struct BenchMesh {
    /// The engine that runs its containers.
    pub engine: Engine,
    /// Its members.
    pub topology: Topology,
    /// The image of all its containers.
    pub image: Image,
    /// The labels of its containers and network.
    pub ownership: Ownership,
}

impl BenchMesh {
    /// Starts the mesh and polls it every `period` until it is ready. Also returns the time from the last container's
    /// start until the mesh was ready.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub async fn start(&self, period: Duration, progress: &Progress) -> Result<(Mesh, Duration), Error> {
        let mut topology = self.topology.clone();
        let token = format!("{:032x}", rand::random::<u128>());
        for member in &mut topology.members {
            let environment = &mut member.service.environment;
            environment.insert(TOKEN_VARIABLE.to_owned(), token.clone());
        }
        let mesh = Mesh::start(&self.engine, topology, &self.image, &self.ownership, progress).await?;
        progress.stage("converging");
        let took = mesh.ready_within(period, READY_LIMIT, progress).await?;
        progress.done(&format!("every path answers, {took:.2?} after the last start"));
        Ok((mesh, took))
    }

    /// Kills and removes all containers of the mesh and its network.
    ///
    /// # Errors
    /// A container or network could not be removed, or the engine fails.
    pub async fn remove(&self) -> Result<(), EngineError> {
        cleanup::remove_labelled(&self.engine, label::PROJECT, &self.topology.project).await
    }
}
