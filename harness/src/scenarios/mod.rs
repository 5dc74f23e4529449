//! The checks of a mesh, one file each. Each has a mesh that is ready, and leaves it as it found it.

mod alternation;
mod graceful_stop;
mod paths;
mod rejoin;
mod topology;
mod weights;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::error::Error;
use crate::figures::Figures;
use crate::mesh::{Belonging, Mesh};
use crate::report::Progress;
use crate::runtime::{Image, Runtime};
use crate::topology::Topology;

/// Time that a mesh may take to be ready.
pub const READY_LIMIT: Duration = Duration::from_secs(30);

/// One check.
pub struct Scenario {
    /// Its name: that of its file.
    pub name: &'static str,
    /// What holds when it passes.
    pub about: &'static str,
    /// The check itself.
    pub run: for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, Result<(), Error>>,
}

/// Every scenario, in the order in which they run.
pub const ALL: [Scenario; 6] = [
    Scenario {
        name: "topology",
        about: "five containers from one image, a sidecar as each one's first process, ports as described",
        run: |stage| Box::pin(topology::run(stage)),
    },
    Scenario {
        name: "paths",
        about: "every path answers with the service that was asked for, from one of its containers",
        run: |stage| Box::pin(paths::run(stage)),
    },
    Scenario {
        name: "alternation",
        about: "two equal instances take turns on every path",
        run: |stage| Box::pin(alternation::run(stage)),
    },
    Scenario {
        name: "weights",
        about: "instances of weight 15 and 10 get exactly 15 and 10 of 25 requests, interleaved",
        run: |stage| Box::pin(weights::run(stage)),
    },
    Scenario {
        name: "graceful_stop",
        about: "an instance is stopped under constant traffic and no request fails",
        run: |stage| Box::pin(graceful_stop::run(stage)),
    },
    Scenario {
        name: "rejoin",
        about: "a stopped instance comes back under constant traffic, takes its turns, and no request fails",
        run: |stage| Box::pin(rejoin::run(stage)),
    },
];

/// What a scenario works on and with.
#[derive(Debug)]
pub struct Stage {
    runtime: Runtime,
    topology: Topology,
    image: Image,
    belonging: Belonging,
    progress: Progress,
    shared: Option<Mesh>,
    /// What was measured.
    pub figures: Figures,
}

impl Stage {
    /// A stage for meshes like `topology`, of `image`; all that is made on it belongs to `belonging`.
    pub fn new(
        runtime: Runtime,
        topology: Topology,
        image: Image,
        belonging: Belonging,
        progress: Progress,
    ) -> Self {
        Self {
            runtime,
            topology,
            image,
            belonging,
            progress,
            shared: None,
            figures: Figures::default(),
        }
    }

    /// The mesh that scenarios share; made where there is none, and ready.
    ///
    /// # Errors
    /// It cannot be made, or is not ready in time.
    pub async fn mesh(&mut self) -> Result<&mut Mesh, Error> {
        let mesh = match self.shared.take() {
            Some(mesh) => mesh,
            None => {
                let (mesh, took) = self.launch(self.topology.clone(), &self.progress).await?;
                self.figures.ready(took);
                mesh
            }
        };
        Ok(self.shared.insert(mesh))
    }

    /// A mesh of a scenario's own, ready, beside the shared one; `suffix` tells its project apart.
    ///
    /// # Errors
    /// As [`Stage::mesh`].
    pub async fn own_mesh(
        &self,
        suffix: &str,
        change: impl FnOnce(Topology) -> Topology,
    ) -> Result<Mesh, Error> {
        let mut topology = change(self.topology.clone());
        topology.project = format!("{}-{suffix}", topology.project);
        for member in &mut topology.members {
            member.service.container_name = format!("{}-{}", topology.project, member.service.name);
        }
        Ok(self.launch(topology, &Progress::silent()).await?.0)
    }

    async fn launch(&self, topology: Topology, progress: &Progress) -> Result<(Mesh, Duration), Error> {
        let mesh = Mesh::start(&self.runtime, topology, &self.image, &self.belonging, progress).await?;
        progress.stage("converging");
        let took = mesh.ready(READY_LIMIT, progress).await?;
        progress.done("every sidecar sees the same mesh, every path has answered");
        Ok((mesh, took))
    }

    /// Runs one scenario. After a failure the shared mesh is not used again: the next scenario gets a new one.
    ///
    /// # Errors
    /// The scenario's, with the containers' last log lines.
    pub async fn run(&mut self, scenario: &Scenario) -> Result<(), Error> {
        let result = (scenario.run)(self).await;
        match (result, self.shared.take()) {
            (Ok(()), shared) => {
                self.shared = shared;
                Ok(())
            }
            (Err(error), Some(mesh)) => {
                let error = mesh.with_logs(error).await;
                self.remove(mesh).await?;
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Kills and removes a mesh that was made here.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove(&self, mesh: Mesh) -> Result<(), Error> {
        use crate::runtime::label;
        Ok(crate::cleanup::remove_labelled(&self.runtime, label::PROJECT, &mesh.topology().project).await?)
    }
}
