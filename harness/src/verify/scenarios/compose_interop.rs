//! The harness and Compose see and stop what the other started.

use futures_util::future::join;

use crate::cluster::cleanup;
use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::Topology;
use crate::compose::program::Program;
use crate::engine::{Engine, Image, label};
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::suite::{READY_LIMIT, Stage};

/// The instance that Compose stops.
const STOPPED: &str = "service-a2";

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let program = Program::find().await.ok_or_else(|| {
        let advice = "install it (Debian: `apt-get install docker-compose`)";
        Error::environment("neither `docker compose` nor `docker-compose` is there", advice)
    })?;
    let compose = Compose {
        program,
        engine: stage.engine(),
        image: stage.image(),
        ownership: stage.ownership(),
    };
    let project = &stage.topology().project;
    let ours = named(stage.topology(), &format!("{project}-ours"));
    let theirs = named(stage.topology(), &format!("{project}-theirs"));
    let projects = [ours.project.clone(), theirs.project.clone()];
    let (first, second) = join(compose.takes_over(ours), compose.gives(theirs)).await;
    for project in projects {
        cleanup::remove_labelled(stage.engine(), label::PROJECT, &project).await?;
    }
    first.and(second)
}

fn named(topology: &Topology, project: &str) -> Topology {
    let mut topology = topology.clone();
    topology.project = project.to_owned();
    for member in &mut topology.members {
        member.service.container_name = format!("{project}-{}", member.service.name);
    }
    topology
}

/// Compose, and what the meshes that it deals with are made of.
struct Compose<'a> {
    program: Program,
    engine: &'a Engine,
    image: &'a Image,
    ownership: &'a Ownership,
}

impl Compose<'_> {
    /// The harness starts a mesh; Compose lists it, stops a part of it, and takes it down.
    async fn takes_over(&self, topology: Topology) -> Result<(), Error> {
        let silent = Progress::silent();
        let mut mesh = Mesh::start(self.engine, topology, self.image, self.ownership, &silent).await?;
        mesh.ready(READY_LIMIT, &silent).await?;
        let topology = mesh.topology().clone();

        let listed = self.run(&topology, None, &["ps"]).await?;
        for member in &topology.members {
            let name = &member.service.container_name;
            let expected = format!("{name} is among what Compose lists");
            check(listed.contains(name.as_str()), expected, &listed)?;
        }

        self.run(&topology, None, &["stop", STOPPED]).await?;
        mesh.refresh().await?;
        for node in mesh.nodes() {
            let stopped = node.member.name() == STOPPED;
            let (container, status) = (&node.container.name, &node.container.status);
            let (expected, holds) = if stopped {
                ("stopped by itself: Exited (0)", status.starts_with("Exited (0)"))
            } else {
                ("running", node.container.running())
            };
            check(holds, format!("{container} is {expected}"), status)?;
        }

        self.run(&topology, None, &["down"]).await?;
        self.nothing_left(&topology.project, "Compose's `down`").await
    }

    /// Compose starts a mesh; the harness finds it ready and removes it.
    async fn gives(&self, topology: Topology) -> Result<(), Error> {
        let labels = labels(&topology, self.ownership).to_string();
        self.run(&topology, Some(&labels), &["up", "-d", "--no-build"])
            .await?;

        let mesh = Mesh::attach(self.engine, topology).await?;
        let topology = mesh.topology();
        check(
            mesh.nodes().len() == topology.members.len(),
            format!("a container of Compose for each of {}", topology.members.len()),
            format!("{:?}", mesh.nodes()),
        )?;
        mesh.ready(READY_LIMIT, &Progress::silent()).await?;
        let bad = mesh.stop_all().await;
        check(bad.is_empty(), "all containers end well", bad.join("\n"))?;
        cleanup::remove_labelled(self.engine, label::PROJECT, &topology.project).await?;
        self.nothing_left(&topology.project, "the harness's removal")
            .await
    }

    async fn run(
        &self,
        topology: &Topology,
        more: Option<&str>,
        arguments: &[&str],
    ) -> Result<String, Error> {
        let variables = [
            ("MESH_NAME", topology.project.as_str()),
            ("MESH_IMAGE", topology.image.as_str()),
            ("FRONTEND_PORT", "0"),
            ("LB_A_PORT", "0"),
            ("LB_B_PORT", "0"),
        ];
        let files = [topology.file.as_path()];
        let ran = self
            .program
            .run(&files, more, &topology.project, &variables, arguments);
        ran.await.map_err(|said| {
            let expected = format!("Compose does its part with {}", topology.project);
            Error::unmet(expected, said)
        })
    }

    async fn nothing_left(&self, project: &str, after: &str) -> Result<(), Error> {
        let filter = format!("{}={project}", label::PROJECT);
        let containers = self.engine.containers(&filter).await?;
        let networks = self.engine.networks(&filter).await?;
        let names: Vec<String> = containers
            .into_iter()
            .map(|container| container.name)
            .chain(networks.into_iter().map(|network| network.name))
            .collect();
        check(
            names.is_empty(),
            format!("nothing is left of {project} after {after}"),
            names.join(" "),
        )
    }
}

/// A second Compose file, which gives all that Compose makes the run's labels: so it is removed with the run, however
/// that ends. JSON is YAML.
fn labels(topology: &Topology, ownership: &Ownership) -> serde_json::Value {
    let labels = serde_json::json!({
        "labels": { label::RUN: ownership.run, label::OWNER: ownership.owner.to_string() }
    });
    let services: serde_json::Map<String, serde_json::Value> = topology
        .members
        .iter()
        .map(|member| (member.name().to_owned(), labels.clone()))
        .collect();
    serde_json::json!({ "services": services, "networks": { topology.network.clone(): labels } })
}
