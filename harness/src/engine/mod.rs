//! Engines, which run the mesh's containers: the Docker Engine, or processes of this machine with the same interface.
//! Only `docker` names bollard.

mod docker;
mod error;
mod event;
mod logs;
pub mod owner;
pub(crate) mod proc_stat;
pub(crate) mod process;
mod select;
mod types;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

pub use docker::Docker;
pub use error::EngineError;
pub use event::{Action, Event};
pub use logs::{LogLine, LogOptions};
pub use process::Processes;
pub use select::{EngineChoice, Selected};
pub use types::{Container, ContainerSpec, END_WITH_STDIN, Image, Network, NetworkCut, ProcessMemory};

/// Labels by which the harness finds what it created.
pub mod label {
    /// The Compose project that a container or network belongs to.
    pub const PROJECT: &str = "com.docker.compose.project";
    /// The service's key in the Compose file.
    pub const SERVICE: &str = "com.docker.compose.service";
    /// The run that it was created for: unique to one start of one mesh.
    pub const RUN: &str = "service-mesh.run";
    /// The owner of the mesh, see [`crate::engine::owner::Owner`].
    pub const OWNER: &str = "service-mesh.owner";
    /// On an image: the digest of all that went into it.
    pub const DIGEST: &str = "service-mesh.digest";
}

/// An engine; cheap to clone. Its operations fail with [`EngineError::Other`] unless they say more.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The Docker Engine.
    Docker(Docker),
    /// Processes of this machine.
    Process(Processes),
}

/// Calls the same method of either engine.
macro_rules! dispatch {
    ($self:expr, $engine:ident => $call:expr) => {
        match $self {
            Engine::Docker($engine) => $call,
            Engine::Process($engine) => $call,
        }
    };
}

impl Engine {
    /// Its name, as `--runtime` takes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Process(_) => "process",
        }
    }

    /// What it runs the nodes of a mesh as, for people.
    pub fn nodes(&self) -> &'static str {
        match self {
            Self::Docker(_) => "containers",
            Self::Process(_) => "processes",
        }
    }

    /// The head of a table's column with the nodes' ids.
    pub fn node_id(&self) -> &'static str {
        match self {
            Self::Docker(_) => "CONTAINER ID",
            Self::Process(_) => "NODE ID",
        }
    }

    /// All containers with a label (`name`, or `name=value`), stopped ones included, sorted by name.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn containers(&self, with_label: &str) -> Result<Vec<Container>, EngineError> {
        dispatch!(self, engine => engine.containers(with_label).await)
    }

    /// All containers of the engine, sorted by name.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn all_containers(&self) -> Result<Vec<Container>, EngineError> {
        dispatch!(self, engine => engine.all_containers().await)
    }

    /// The container with this id.
    ///
    /// # Errors
    /// [`EngineError::Missing`].
    pub async fn container(&self, id: &str) -> Result<Container, EngineError> {
        dispatch!(self, engine => engine.container(id).await)
    }

    /// Creates a container without starting it; returns its id.
    ///
    /// # Errors
    /// [`EngineError::NameTaken`], or [`EngineError::Missing`] for its image or network.
    pub async fn create(&self, spec: ContainerSpec) -> Result<String, EngineError> {
        dispatch!(self, engine => engine.create(spec).await)
    }

    /// Starts a container. One that runs already is no error. If it has a lifeline, this process holds its standard
    /// input open until either ends.
    ///
    /// # Errors
    /// [`EngineError::PortTaken`] or [`EngineError::Missing`].
    pub async fn start(&self, id: &str, name: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.start(id, name).await)
    }

    /// Stops a container gracefully, resuming it first if it is paused, and kills it after `grace`. Returns its exit
    /// code.
    ///
    /// # Errors
    /// [`EngineError::Missing`].
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<i64, EngineError> {
        dispatch!(self, engine => engine.stop(id, grace).await)
    }

    /// Kills all processes of a container (SIGKILL), paused or not; returns when it has ended.
    ///
    /// # Errors
    /// [`EngineError::Missing`]; or it does not run, which is no error with Docker.
    pub async fn kill(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.kill(id).await)
    }

    /// Pauses all processes of a container.
    ///
    /// # Errors
    /// [`EngineError::Missing`]; it does not run; or it is paused, which is no error with Docker.
    pub async fn pause(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.pause(id).await)
    }

    /// Resumes a paused container.
    ///
    /// # Errors
    /// [`EngineError::Missing`]; or it is not paused, which is no error with Docker.
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.unpause(id).await)
    }

    /// Kills and removes a container. One that is gone already is no error.
    ///
    /// # Errors
    /// It is still there.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove(id).await)
    }

    /// Kills and removes containers, all at once. Those that are gone already are no error.
    ///
    /// # Errors
    /// That of the first container that is still there.
    pub async fn remove_all(&self, ids: Vec<String>) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove_all(ids).await)
    }

    /// The processes in a running container and the memory of each.
    ///
    /// # Errors
    /// It does not run, or [`EngineError::Missing`].
    pub async fn processes(&self, id: &str) -> Result<Vec<ProcessMemory>, EngineError> {
        dispatch!(self, engine => engine.processes(id).await)
    }

    /// Whether [`Engine::cut_network`] works.
    pub fn can_cut_network(&self) -> bool {
        matches!(self, Self::Docker(_))
    }

    /// Applies `cut` to what the running container `target` sends, through a helper container of the image `image`
    /// that carries `labels`. Returns the helper's id when the cut is in force.
    ///
    /// # Errors
    /// [`EngineError::CannotCut`], the target does not run, or an address is not on its network. Nothing is cut then.
    pub async fn cut_network(
        &self,
        image: &Image,
        target: &str,
        cut: &NetworkCut,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        match self {
            Self::Docker(docker) => docker.cut_network(image, target, cut, labels).await,
            Self::Process(_) => Err(EngineError::CannotCut),
        }
    }

    /// Heals what [`Engine::cut_network`] cut with this helper.
    ///
    /// # Errors
    /// [`EngineError::CannotCut`], or it was not healed. The helper is removed all the same.
    pub async fn heal_network(&self, helper: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.heal_network(helper).await,
            Self::Process(_) => Err(EngineError::CannotCut),
        }
    }

    /// What happens from now on to the containers with the run's label. Of processes: what this process does to them,
    /// and the ends of those that it started. After an error, which says that some were missed, later ones follow.
    pub fn events(&self, run: &str) -> BoxStream<'static, Result<Event, EngineError>> {
        dispatch!(self, engine => engine.events(run).boxed())
    }

    /// Creates a network; returns its id.
    ///
    /// # Errors
    /// All networks are taken.
    pub async fn create_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        dispatch!(self, engine => engine.create_network(name, labels).await)
    }

    /// All networks with a label (`name`, or `name=value`).
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn networks(&self, with_label: &str) -> Result<Vec<Network>, EngineError> {
        dispatch!(self, engine => engine.networks(with_label).await)
    }

    /// Removes a network. One that is gone already is no error.
    ///
    /// # Errors
    /// A container is still attached to it.
    pub async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove_network(id).await)
    }

    /// The image with this name, if there is one.
    ///
    /// # Errors
    /// It cannot be looked up.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        dispatch!(self, engine => engine.image(name).await)
    }

    /// Creates an image called `name` with the file system `tar`; `changes` are lines of a Dockerfile.
    ///
    /// # Errors
    /// The tar is malformed.
    pub async fn import_image(
        &self,
        name: &str,
        tar: Bytes,
        changes: Vec<String>,
    ) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.import_image(name, tar, changes).await)
    }

    /// Removes images that the harness created and that lost their name to a later one, except those in use.
    ///
    /// # Errors
    /// One is still there.
    pub async fn remove_outdated_images(&self) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove_outdated_images().await)
    }

    /// Lines of a container's output. It ends after an error.
    pub fn logs(&self, id: &str, options: LogOptions) -> BoxStream<'static, Result<LogLine, EngineError>> {
        dispatch!(self, engine => engine.logs(id, options))
    }

    /// The last `count` lines of a container's output; if they cannot be read, the reason as a line.
    pub async fn last_lines(&self, id: &str, count: usize) -> Vec<String> {
        logs::collect(self.logs(id, LogOptions::last(count))).await
    }

    /// Waits for requests that create something and whose caller was dropped: they run to their end, so that nothing
    /// appears after its removal.
    pub async fn settled(&self) {
        dispatch!(self, engine => engine.settled().await);
    }
}
