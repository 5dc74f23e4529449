//! Where a bench has a mesh of its own.

use std::time::Duration;

use crate::cluster::cleanup;
use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::Topology;
use crate::console::Progress;
use crate::engine::{Engine, EngineError, Image, label};
use crate::error::Error;
use crate::verify::suite::READY_LIMIT;

/// All that a mesh is made of.
#[derive(Debug, Clone)]
pub struct Site {
    /// What runs its containers.
    pub engine: Engine,
    /// What it is to be.
    pub topology: Topology,
    /// The image of all its containers.
    pub image: Image,
    /// What all that is made belongs to.
    pub ownership: Ownership,
}

impl Site {
    /// Starts the mesh and waits until it is ready, looking as often as `period` says. Answers also with the time from
    /// the last container's start until it was.
    ///
    /// # Errors
    /// It cannot be made, or is not ready in time.
    pub async fn start(&self, period: Duration, progress: &Progress) -> Result<(Mesh, Duration), Error> {
        let topology = self.topology.clone();
        let mesh = Mesh::start(&self.engine, topology, &self.image, &self.ownership, progress).await?;
        progress.stage("converging");
        let took = mesh.ready_to(period, READY_LIMIT, progress).await?;
        progress.done(&format!("every path answers, {took:.2?} after the last start"));
        Ok((mesh, took))
    }

    /// Kills and removes all containers of the mesh and its network.
    ///
    /// # Errors
    /// Something stays, or the engine's.
    pub async fn clear(&self) -> Result<(), EngineError> {
        cleanup::remove_labelled(&self.engine, label::PROJECT, &self.topology.project).await
    }
}
