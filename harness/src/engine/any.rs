//! The runtime that was chosen: every engine does the same under the same names.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::BoxStream;

use super::logs::Logs;
use super::{
    Container, Creation, Docker, EngineError, Event, Image, LogLine, Network, NetworkCut, ProcessUse,
    Processes,
};

/// What runs a mesh's containers; cheap to clone.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The Docker Engine.
    Docker(Docker),
    /// Processes of this machine.
    Process(Processes),
}

/// Does the same on whichever engine it is.
macro_rules! on {
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
    /// The engine's.
    pub async fn containers(&self, with_label: &str) -> Result<Vec<Container>, EngineError> {
        on!(self, engine => engine.containers(with_label).await)
    }

    /// All containers of the engine, sorted by name.
    ///
    /// # Errors
    /// The engine's.
    pub async fn all_containers(&self) -> Result<Vec<Container>, EngineError> {
        on!(self, engine => engine.all_containers().await)
    }

    /// One container, by its id.
    ///
    /// # Errors
    /// There is none with that id, or the engine's.
    pub async fn container(&self, id: &str) -> Result<Container, EngineError> {
        on!(self, engine => engine.container(id).await)
    }

    /// Makes a container; it does not run yet. Answers with its id.
    ///
    /// # Errors
    /// Its name is taken, its image is missing, or the engine's.
    pub async fn create(&self, creation: Creation<'_>) -> Result<String, EngineError> {
        on!(self, engine => engine.create(creation).await)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// A host port of it is taken, or the engine's.
    pub async fn start(&self, id: &str, name: &str) -> Result<(), EngineError> {
        on!(self, engine => engine.start(id, name).await)
    }

    /// Stops a container gracefully; the engine kills it after `grace`. Answers with its exit code.
    ///
    /// # Errors
    /// The engine's.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<i64, EngineError> {
        on!(self, engine => engine.stop(id, grace).await)
    }

    /// Kills all processes of a container at once; it has ended when this returns.
    ///
    /// # Errors
    /// The engine's.
    pub async fn kill(&self, id: &str) -> Result<(), EngineError> {
        on!(self, engine => engine.kill(id).await)
    }

    /// Makes all processes of a container stand still.
    ///
    /// # Errors
    /// The engine's.
    pub async fn pause(&self, id: &str) -> Result<(), EngineError> {
        on!(self, engine => engine.pause(id).await)
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// The engine's.
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        on!(self, engine => engine.unpause(id).await)
    }

    /// Kills and removes a container. One that is gone already is no error.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        on!(self, engine => engine.remove(id).await)
    }

    /// Kills and removes containers, all at once. Those that are gone already are no error.
    ///
    /// # Errors
    /// The engine's, of the first that could not be removed.
    pub async fn remove_all(&self, ids: Vec<String>) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => {
                let removals = join_all(ids.iter().map(|id| docker.remove(id))).await;
                removals.into_iter().collect()
            }
            Self::Process(processes) => processes.remove_all(ids).await,
        }
    }

    /// The processes in a container and the memory that each holds.
    ///
    /// # Errors
    /// The engine's.
    pub async fn processes(&self, id: &str) -> Result<Vec<ProcessUse>, EngineError> {
        on!(self, engine => engine.processes(id).await)
    }

    /// Whether the way between containers can be cut with [`Engine::cut_network`].
    pub fn can_cut_network(&self) -> bool {
        matches!(self, Self::Docker(_))
    }

    /// Does `action` to what the container `target` sends, through a helper of the image `image` that carries `labels`;
    /// it is in force when this returns. Answers with the helper's id.
    ///
    /// # Errors
    /// The runtime cannot do that ([`Engine::can_cut_network`]), or the engine's.
    pub async fn cut_network(
        &self,
        image: &Image,
        target: &str,
        action: &NetworkCut,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        match self {
            Self::Docker(docker) => docker.cut_network(image, target, action, labels).await,
            Self::Process(_) => Err(EngineError::CannotCut),
        }
    }

    /// Ends what [`Engine::cut_network`] began.
    ///
    /// # Errors
    /// As [`Engine::cut_network`].
    pub async fn heal_network(&self, helper: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.heal_network(helper).await,
            Self::Process(_) => Err(EngineError::CannotCut),
        }
    }

    /// What happens from now on to the containers that carry the run's label; of processes, what this one does to them,
    /// and the ends of those that it started. Reading may go on after an error, which tells that some were missed.
    pub fn events(&self, run: &str) -> BoxStream<'static, Result<Event, EngineError>> {
        on!(self, engine => engine.events(run).boxed())
    }

    /// Makes a network; answers with its id.
    ///
    /// # Errors
    /// The engine's.
    pub async fn create_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        on!(self, engine => engine.create_network(name, labels).await)
    }

    /// All networks with a label (`name`, or `name=value`).
    ///
    /// # Errors
    /// The engine's.
    pub async fn networks(&self, with_label: &str) -> Result<Vec<Network>, EngineError> {
        on!(self, engine => engine.networks(with_label).await)
    }

    /// Removes a network. One that is gone already is no error.
    ///
    /// # Errors
    /// Something is still attached to it, or the engine's.
    pub async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        on!(self, engine => engine.remove_network(id).await)
    }

    /// The image of this name, if there is one.
    ///
    /// # Errors
    /// The engine's.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        on!(self, engine => engine.image(name).await)
    }

    /// Makes an image called `name` whose file system is `tar`; `changes` are lines of a Dockerfile.
    ///
    /// # Errors
    /// The engine's.
    pub async fn import_image(
        &self,
        name: &str,
        tar: Bytes,
        changes: Vec<String>,
    ) -> Result<(), EngineError> {
        on!(self, engine => engine.import_image(name, tar, changes).await)
    }

    /// Removes images that the harness once made and that lost their name to a later one. Those in use stay.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove_outdated_images(&self) -> Result<(), EngineError> {
        on!(self, engine => engine.remove_outdated_images().await)
    }

    /// The last `tail` lines of a container's output (all where none is given), each after the time of its writing
    /// (RFC 3339, UTC, nine digits) and a space; with `follow` every later one until it stops.
    pub fn dated_logs(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        on!(self, engine => engine.dated_logs(id, tail, follow))
    }

    /// The last `count` lines of a container's output; what kept them from being read where that failed.
    pub async fn last_lines(&self, id: &str, count: usize) -> Vec<String> {
        on!(self, engine => engine.last_lines(id, count).await)
    }

    /// Waits for the requests that make something and that nobody waits for any more.
    pub async fn settled(&self) {
        on!(self, engine => engine.settled().await);
    }
}
