//! Starts a mesh: its network and its containers.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use super::{Mesh, Node};
use crate::cluster::image;
use crate::cluster::topology::{Member, Topology};
use crate::console::Progress;
use crate::engine::owner::Owner;
use crate::engine::{ContainerSpec, Engine, Image, NetworkCut, label};
use crate::error::Error;

/// The run and the process that a mesh belongs to.
#[derive(Debug, Clone)]
pub struct Ownership {
    /// The run's id, unique to one start. Everything that the run creates has it as a label.
    pub run: String,
    /// The process whose end ends the mesh, if any.
    pub owner: Owner,
}

impl Mesh {
    /// Creates the network and starts all containers concurrently. All of them have the labels of `ownership`. If this
    /// fails, the caller must remove what has these labels.
    ///
    /// # Errors
    /// A name or a host port is taken, or the engine fails.
    pub async fn start(
        engine: &Engine,
        topology: Topology,
        image: &Image,
        ownership: &Ownership,
        progress: &Progress,
    ) -> Result<Self, Error> {
        progress.stage("network");
        let labels = Labels {
            topology: &topology,
            image,
            ownership,
        };
        let network = engine
            .create_network(&topology.network_name(), &labels.network())
            .await?;
        progress.done(&topology.network_name());

        progress.stage(engine.nodes());
        let spec = MeshSpec {
            network,
            image: image.clone(),
            ownership: ownership.clone(),
            lifeline: ownership.owner != Owner::Detached,
        };
        let members = topology.members.iter().cloned();
        let starts = members.map(|member| spec.start(engine, &topology, member));
        let mut last_start = Instant::now();
        let mut nodes = Vec::new();
        for started in join_all(starts).await {
            let (node, at) = started?;
            last_start = last_start.max(at);
            nodes.push(node);
        }
        progress.done(&format!("{} started", nodes.len()));
        Ok(Self {
            engine: engine.clone(),
            topology,
            nodes,
            last_start,
            spec: Some(spec),
            netcuts: Vec::new(),
        })
    }
}

/// The settings that all containers of one mesh share.
#[derive(Debug, Clone)]
pub(super) struct MeshSpec {
    /// The network's id.
    pub(super) network: String,
    pub(super) image: Image,
    pub(super) ownership: Ownership,
    /// Whether a container stops when this process ends.
    pub(super) lifeline: bool,
}

impl MeshSpec {
    /// Creates and starts the container of one member. Returns it and the time of its start.
    pub(super) async fn start(
        &self,
        engine: &Engine,
        topology: &Topology,
        member: Member,
    ) -> Result<(Node, Instant), Error> {
        let labels = Labels {
            topology,
            image: &self.image,
            ownership: &self.ownership,
        };
        let spec = ContainerSpec {
            service: member.service.clone(),
            network: self.network.clone(),
            labels: labels.container(&member),
            lifeline: self.lifeline,
        };
        let id = engine.create(spec).await?;
        engine.start(&id, &member.service.container_name).await?;
        let at = Instant::now();
        let container = engine.container(&id).await?;
        if container.image_id != self.image.id {
            let what = format!(
                "the image {} was replaced while the mesh was being created",
                topology.image
            );
            return Err(Error::environment(what, "run the command again"));
        }
        let node = Node {
            member,
            container,
            wanted: true,
        };
        Ok((node, at))
    }

    /// Applies `cut` to the packets that a container sends. Returns the helper's id.
    pub(super) async fn cut_network(
        &self,
        engine: &Engine,
        container: &str,
        cut: &NetworkCut,
    ) -> Result<String, Error> {
        let labels = self.ownership.labels();
        let image = image::reread(engine, image::NETCUT_IMAGE).await?;
        Ok(engine.cut_network(&image, container, cut, &labels).await?)
    }
}

impl Ownership {
    /// The labels of everything that belongs to the run.
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (label::RUN.to_owned(), self.run.clone()),
            (label::OWNER.to_owned(), self.owner.to_string()),
        ])
    }
}

/// The labels by which both the harness and Compose find a mesh's containers and networks.
struct Labels<'a> {
    topology: &'a Topology,
    image: &'a Image,
    ownership: &'a Ownership,
}

impl Labels<'_> {
    fn common(&self) -> BTreeMap<String, String> {
        let mut labels = self.ownership.labels();
        labels.extend([
            (label::PROJECT.to_owned(), self.topology.project.clone()),
            (compose("version"), env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        labels
    }

    fn network(&self) -> BTreeMap<String, String> {
        let mut labels = self.common();
        labels.insert(label::NETWORK.to_owned(), self.topology.network.clone());
        labels
    }

    fn container(&self, member: &Member) -> BTreeMap<String, String> {
        let file = &self.topology.file;
        let directory = file.parent().unwrap_or(file);
        let files = std::iter::once(file).chain(&self.topology.overrides);
        let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
        // Compose recreates a container if this differs from its own digest.
        let digest = Sha256::digest(format!("{:?}", member.service));
        let mut labels = self.common();
        labels.extend([
            (label::SERVICE.to_owned(), member.service.name.clone()),
            (label::NUMBER.to_owned(), member.number.to_string()),
            (label::ONE_OFF.to_owned(), "False".to_owned()),
            (
                compose("config-hash"),
                digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            ),
            (compose("image"), self.image.id.clone()),
            (compose("project.working_dir"), directory.display().to_string()),
            (label::CONFIG_FILES.to_owned(), files.join(",")),
        ]);
        labels
    }
}

fn compose(name: &str) -> String {
    format!("com.docker.compose.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Processes;

    #[tokio::test]
    async fn cutting_the_network_without_the_image_reports_that_it_was_removed() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Process(Processes::open_in(directory.path().join("state")).unwrap());
        let spec = MeshSpec {
            network: String::new(),
            image: Image {
                id: String::new(),
                labels: BTreeMap::new(),
                size: 0,
            },
            ownership: Ownership {
                run: "run".to_owned(),
                owner: Owner::Detached,
            },
            lifeline: false,
        };
        let cut = NetworkCut::Block(Vec::new());
        let error = spec.cut_network(&engine, "container", &cut).await.unwrap_err();
        let text = error.to_string();
        let expected = format!("the image {} has been removed", image::NETCUT_IMAGE);
        assert!(
            text.starts_with(&expected) && !text.contains("--no-build"),
            "{text}"
        );
    }
}
