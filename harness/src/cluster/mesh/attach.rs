//! Attaches to a running mesh, which another process may have started.

use std::collections::BTreeSet;
use std::time::Instant;

use super::start::{MeshSpec, Ownership};
use super::{Mesh, Node};
use crate::cluster::mesh_key::MeshKey;
use crate::cluster::project;
use crate::cluster::resources::{Resources, is_ours};
use crate::cluster::topology::{Member, Topology};
use crate::engine::{Container, Engine, Network, label};
use crate::error::Error;

impl Mesh {
    /// Attaches to the running mesh of the topology's project. A service has as many members as it has containers; one
    /// without a container stays in the topology, but has no node.
    ///
    /// # Errors
    /// The project has no container of a mesh, or the engine fails.
    pub async fn attach(engine: &Engine, mut topology: Topology) -> Result<Self, Error> {
        let Resources {
            containers, networks, ..
        } = Resources::of(engine, &topology).await?;
        for network in &networks {
            engine.join_network(&network.id).await?;
        }
        let key = containers
            .iter()
            .find_map(|container| MeshKey::of_files(container.label(label::CONFIG_FILES)));
        if let Some(key) = key {
            topology = key.given_to(topology);
        }
        // The topology may be that of an earlier look, in which a service had several containers.
        topology
            .members
            .dedup_by(|member, first| member.service.name == first.service.name);
        let nodes: Vec<Node> = topology
            .members
            .iter()
            .flat_map(|member| nodes(&topology.project, member, &containers))
            .collect();
        if nodes.is_empty() {
            return Err(project::no_mesh(&topology.project, &BTreeSet::new()));
        }
        let found = |member: &Member| {
            nodes
                .iter()
                .any(|node| node.member.service.name == member.service.name)
        };
        topology.members.retain(|member| !found(member));
        topology
            .members
            .extend(nodes.iter().map(|node| node.member.clone()));
        topology.members.sort_by(Member::by_name);
        Ok(Self {
            engine: engine.clone(),
            topology,
            nodes,
            last_start: Instant::now(),
            spec: None,
            netcuts: Vec::new(),
        })
    }

    /// The settings with which another process of the harness has started the mesh. Containers that are started with them
    /// belong to the same run, and do not depend on this process.
    ///
    /// # Errors
    /// Compose started the mesh, or the engine fails.
    pub(super) async fn running_spec(&self) -> Result<MeshSpec, Error> {
        let found = Resources::of(&self.engine, &self.topology).await?;
        let of_file = |network: &&Network| network.labels.get(label::NETWORK) == Some(&self.topology.network);
        let mut networks = found.networks.iter().filter(of_file);
        let network = networks.find(|network| is_ours(&network.labels));
        let mut containers = self.nodes.iter().map(|node| &node.container);
        let container = containers.find(|container| is_ours(&container.labels));
        let by_compose = || {
            Error::environment(
                format!("Docker Compose started the mesh `{}`", self.topology.project),
                "scale it with Compose: `up --detach --no-recreate --scale SERVICE=NUMBER`",
            )
        };
        let (Some(network), Some(container)) = (network, container) else {
            return Err(by_compose());
        };
        let owner = container.label(label::OWNER).parse().map_err(|_| by_compose())?;
        let image = self.engine.image(&container.image_id).await?;
        let removed = || {
            Error::environment(
                format!(
                    "the image of the mesh `{}` has been removed",
                    self.topology.project
                ),
                "take the mesh down and start it again",
            )
        };
        Ok(MeshSpec {
            network: network.id.clone(),
            image: image.ok_or_else(removed)?,
            ownership: Ownership {
                run: container.label(label::RUN).to_owned(),
                owner,
            },
            lifeline: false,
        })
    }
}

/// The nodes of a service of the Compose file, sorted by their numbers.
fn nodes(project: &str, member: &Member, containers: &[Container]) -> Vec<Node> {
    let number = |container: &Container| container.label(label::NUMBER).parse().unwrap_or(1);
    // `compose run` makes one-off containers, which publish no ports.
    let of_service = containers.iter().filter(|container| {
        container.label(label::SERVICE) == member.service.name && container.label(label::ONE_OFF) != "True"
    });
    let node = |container: &Container| {
        let mut member = member.replica(project, number(container));
        member.service.container_name.clone_from(&container.name);
        Node {
            member,
            wanted: container.running(),
            container: container.clone(),
        }
    };
    let mut nodes: Vec<Node> = of_service.map(node).collect();
    nodes.sort_by_key(|node| node.member.number);
    nodes
}
