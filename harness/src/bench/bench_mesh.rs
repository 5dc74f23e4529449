//! The mesh that a bench starts for itself.

use std::time::Duration;

use crate::cluster::cleanup;
use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::Topology;
use crate::console::Progress;
use crate::engine::{Engine, EngineError, Image, label};
use crate::error::Error;
use crate::verify::suite::READY_LIMIT;

/// A bench's mesh, to be started once or repeatedly.
#[derive(Debug, Clone)]
pub struct BenchMesh {
    /// The engine that runs its containers.
    pub engine: Engine,
    /// Its members.
    pub topology: Topology,
    /// The image of all its containers.
    pub image: Image,
    /// Labels its containers and network as this process's.
    pub ownership: Ownership,
}

impl BenchMesh {
    /// Starts the mesh and polls it every `period` until it is ready. Returns the time from the last container's start
    /// until then, too.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub async fn start(&self, period: Duration, progress: &Progress) -> Result<(Mesh, Duration), Error> {
        let topology = self.topology.clone();
        let mesh = Mesh::start(&self.engine, topology, &self.image, &self.ownership, progress).await?;
        progress.stage("converging");
        let took = mesh.ready_within(period, READY_LIMIT, progress).await?;
        progress.done(&format!("every path answers, {took:.2?} after the last start"));
        Ok((mesh, took))
    }

    /// Kills and removes all containers of the mesh and its network.
    ///
    /// # Errors
    /// The engine's, or something could not be removed.
    pub async fn remove(&self) -> Result<(), EngineError> {
        cleanup::remove_labelled(&self.engine, label::PROJECT, &self.topology.project).await
    }
}
