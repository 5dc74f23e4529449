//! Engines run the mesh's containers: on the Docker Engine, or as processes of this machine with the same interface.

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

pub use docker::{Docker, HelperMount, Inspected, InspectedImage, InspectedNetwork, Variables};
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
    /// The number of the service's container, from 1.
    pub const NUMBER: &str = "com.docker.compose.container-number";
    /// `True` on a container of `compose run`.
    pub const ONE_OFF: &str = "com.docker.compose.oneoff";
    /// The Compose file and its overrides, separated by commas.
    pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
    /// The network's key in the Compose file.
    pub const NETWORK: &str = "com.docker.compose.network";
    /// The id of the run that created it, unique to one start of one mesh.
    pub const RUN: &str = "service-mesh.run";
    /// The owner of the mesh, see [`crate::engine::owner::Owner`].
    pub const OWNER: &str = "service-mesh.owner";
    /// On the volume with the files of a project's waypoints: the project's name.
    pub const VOLUME: &str = "service-mesh.volume";
    /// On a helper container.
    pub const HELPER: &str = "service-mesh.helper";
    /// On an image of a mesh's containers, whatever its name: `example`. Its containers have it too.
    pub const IMAGE: &str = "service-mesh.image";
    /// On an image: the digest of its content and settings.
    pub const DIGEST: &str = "service-mesh.digest";
}

/// An engine; cheap to clone. Operations fail with [`EngineError::Other`] unless their documentation names an error.
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
    /// Its name, as accepted by `--runtime`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Process(_) => "process",
        }
    }

    /// The word for its nodes in messages.
    pub fn nodes(&self) -> &'static str {
        match self {
            Self::Docker(_) => "containers",
            Self::Process(_) => "processes",
        }
    }

    /// The header of a table column with the nodes' ids.
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

    /// Starts a container; it is not an error if it is already running. If it has a lifeline, this process holds its
    /// standard input open until either of them ends.
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

    /// Kills all processes of a container (SIGKILL), even if it is paused, and waits for their end.
    ///
    /// # Errors
    /// [`EngineError::Missing`], or it is not running (not an error with Docker).
    pub async fn kill(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.kill(id).await)
    }

    /// Pauses all processes of a container.
    ///
    /// # Errors
    /// [`EngineError::Missing`], it is not running, or it is already paused (not an error with Docker).
    pub async fn pause(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.pause(id).await)
    }

    /// Resumes a paused container.
    ///
    /// # Errors
    /// [`EngineError::Missing`], or it is not paused (not an error with Docker).
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.unpause(id).await)
    }

    /// Kills and removes a container; it is not an error if it does not exist.
    ///
    /// # Errors
    /// It could not be removed.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove(id).await)
    }

    /// Kills and removes containers concurrently; it is not an error if some do not exist.
    ///
    /// # Errors
    /// The error of the first container that could not be removed.
    pub async fn remove_all(&self, ids: Vec<String>) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove_all(ids).await)
    }

    /// The processes in a running container and the memory of each.
    ///
    /// # Errors
    /// It is not running, or [`EngineError::Missing`].
    pub async fn processes(&self, id: &str) -> Result<Vec<ProcessMemory>, EngineError> {
        dispatch!(self, engine => engine.processes(id).await)
    }

    /// Whether [`Engine::cut_network`] works.
    pub fn can_cut_network(&self) -> bool {
        matches!(self, Self::Docker(_))
    }

    /// Applies `cut` to the packets that the running container `target` sends, with a helper container of the image
    /// `image` that carries `labels`. Returns the helper's id once the cut is active.
    ///
    /// # Errors
    /// [`EngineError::CannotCut`], the target is not running, or an address is not on its network. Nothing is cut then.
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

    /// Heals the cut that [`Engine::cut_network`] applied with this helper.
    ///
    /// # Errors
    /// [`EngineError::CannotCut`], or it was not healed. The helper is removed, unless the engine could not stop it.
    pub async fn heal_network(&self, helper: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.heal_network(helper).await,
            Self::Process(_) => Err(EngineError::CannotCut),
        }
    }

    /// Events, from now on, of the containers with the run's label. The process engine reports only the operations of
    /// this process and the exits of containers that it started. An error means that events were missed; later events
    /// follow it.
    pub fn events(&self, run: &str) -> BoxStream<'static, Result<Event, EngineError>> {
        dispatch!(self, engine => engine.events(run).boxed())
    }

    /// Creates a network; returns its id.
    ///
    /// # Errors
    /// No network is free.
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

    /// Removes a network; it is not an error if it does not exist.
    ///
    /// # Errors
    /// A container is still attached to it.
    pub async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove_network(id).await)
    }

    /// Makes the containers of a network, which another process created, reachable for this one.
    ///
    /// # Errors
    /// There is no such network, or the engine fails.
    pub async fn join_network(&self, id: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.join(id).await,
            Self::Process(_) => Ok(()),
        }
    }

    /// Whether published ports are bound on the machine, and in the network, that this process runs in.
    pub fn listens_here(&self) -> bool {
        match self {
            Self::Docker(docker) => !docker.listens_elsewhere(),
            Self::Process(_) => true,
        }
    }

    /// The image with this name, if there is one.
    ///
    /// # Errors
    /// It cannot be looked up.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        dispatch!(self, engine => engine.image(name).await)
    }

    /// Creates an image called `name` with the file system `tar`; `changes` are Dockerfile instructions.
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

    /// Removes images of the harness whose name now belongs to a later image, except those in use.
    ///
    /// # Errors
    /// An image could not be removed.
    pub async fn remove_outdated_images(&self) -> Result<(), EngineError> {
        dispatch!(self, engine => engine.remove_outdated_images().await)
    }

    /// Lines of a container's output. The stream ends after an error.
    pub fn logs(&self, id: &str, options: LogOptions) -> BoxStream<'static, Result<LogLine, EngineError>> {
        dispatch!(self, engine => engine.logs(id, options))
    }

    /// The last `count` lines of a container's output. If they cannot be read, the reason is the only line.
    pub async fn last_lines(&self, id: &str, count: usize) -> Vec<String> {
        logs::collect(self.logs(id, LogOptions::last(count))).await
    }

    /// Waits for requests that create something and whose caller was dropped, so that nothing is created after the
    /// clean-up.
    pub async fn settled(&self) {
        dispatch!(self, engine => engine.settled().await);
    }
}
