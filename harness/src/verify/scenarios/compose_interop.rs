//! The harness and Compose each see and stop what the other started.

use std::time::Duration;

use futures_util::future::join;

use crate::cluster::cleanup;
use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::{PORT_VARIABLES, Topology};
use crate::compose::cli::ComposeCli;
use crate::console::Progress;
use crate::engine::{Engine, EngineError, Image, label};
use crate::error::{Error, check};
use crate::verify::checks::ready;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::wait;

/// The instance that Compose stops.
const STOPPED: &str = "service-a2";
/// Timeout for the engine to list a change that it has confirmed, and the interval of looks.
const LISTED_LIMIT: Duration = Duration::from_secs(5);
const LISTED_PERIOD: Duration = Duration::from_millis(50);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "compose_interop",
    about: "the harness and Compose each see and stop what the other started",
    requires: Requirements::COMPOSE,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let programs = ComposeCli::installed().await;
    if programs.is_empty() {
        let what = "neither `docker compose` nor `docker-compose` is installed";
        let advice = "install it (Debian: `apt-get install docker-compose`)";
        return Err(Error::environment(what, advice));
    }
    for (number, program) in programs.into_iter().enumerate() {
        let compose = Compose {
            program,
            engine: ctx.engine(),
            image: ctx.image(),
            ownership: ctx.ownership(),
        };
        let project = &ctx.topology().project;
        let named = |suffix: &str| {
            ctx.topology()
                .clone()
                .with_project(&format!("{project}-{suffix}-{number}"))
        };
        let (ours, theirs) = (named("ours"), named("theirs"));
        let projects = [ours.project.clone(), theirs.project.clone()];
        let (first, second) = join(
            compose.is_controlled_by_compose(ours),
            compose.attaches_to_theirs(theirs),
        )
        .await;
        for project in projects {
            cleanup::remove_labelled(ctx.engine(), label::PROJECT, &project).await?;
        }
        first.and(second)?;
    }
    Ok(())
}

/// A Compose program, and the parts of the test meshes.
struct Compose<'a> {
    program: ComposeCli,
    engine: &'a Engine,
    image: &'a Image,
    ownership: &'a Ownership,
}

impl Compose<'_> {
    /// The harness starts a mesh; Compose lists it, stops one container, and takes the mesh down.
    async fn is_controlled_by_compose(&self, topology: Topology) -> Result<(), Error> {
        let silent = Progress::silent();
        let mut mesh = Mesh::start(self.engine, topology, self.image, self.ownership, &silent).await?;
        ready(&mesh).await?;
        let topology = mesh.topology().clone();

        let listed = self.run(&topology, None, &["ps"]).await?;
        for member in &topology.members {
            let name = &member.service.container_name;
            let expected = format!("`compose ps` lists {name}");
            check(listed.contains(name.as_str()), expected, &listed)?;
        }

        self.run(&topology, None, &["stop", STOPPED]).await?;
        let stopped = async || {
            mesh.refresh().await.map_err(|error| vec![error.to_string()])?;
            let unexpected = mesh.nodes().iter().filter_map(|node| {
                let (container, status) = (&node.container, &node.container.status);
                let holds = match node.member.name() {
                    STOPPED => status.starts_with("Exited (0)"),
                    _ => container.running(),
                };
                (!holds).then(|| format!("{}: {status}", container.name))
            });
            none(unexpected.collect())
        };
        let expected = format!("{STOPPED} is stopped with exit code 0, and all others run");
        until(expected, stopped).await?;

        self.run(&topology, None, &["down"]).await?;
        self.nothing_left(&topology.project, "Compose's `down`").await
    }

    /// Compose starts a mesh; the harness attaches to it, waits until it is ready, and removes it.
    async fn attaches_to_theirs(&self, topology: Topology) -> Result<(), Error> {
        let labels = labels(&topology, self.ownership).to_string();
        self.run(&topology, Some(&labels), &["up", "-d", "--no-build"])
            .await?;

        let mesh = Mesh::attach(self.engine, topology).await?;
        let topology = mesh.topology();
        check(
            mesh.nodes().len() == topology.members.len(),
            format!("a container for each of the {} members", topology.members.len()),
            format!("{:?}", mesh.nodes()),
        )?;
        ready(&mesh).await?;
        let failed = mesh.stop_all().await;
        check(
            failed.is_empty(),
            "all containers end with exit code 0",
            failed.join("\n"),
        )?;
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
        let mut variables = vec![
            ("MESH_NAME", topology.project.as_str()),
            ("MESH_IMAGE", topology.image.as_str()),
        ];
        variables.extend(PORT_VARIABLES.map(|port| (port, "0")));
        let files = [topology.file.as_path()];
        // The shipped files name the project after the mesh.
        let ran = self.program.run(&files, more, None, &variables, arguments);
        ran.await.map_err(|said| {
            let expected = format!(
                "`{}` succeeds with the project {}",
                self.program, topology.project
            );
            Error::unmet(expected, said)
        })
    }

    async fn nothing_left(&self, project: &str, after: &str) -> Result<(), Error> {
        let filter = format!("{}={project}", label::PROJECT);
        let left = async || {
            let failed = |error: EngineError| vec![error.to_string()];
            let containers = self.engine.containers(&filter).await.map_err(failed)?;
            let networks = self.engine.networks(&filter).await.map_err(failed)?;
            let names = containers.into_iter().map(|container| container.name);
            none(
                names
                    .chain(networks.into_iter().map(|network| network.name))
                    .collect(),
            )
        };
        until(format!("nothing is left of {project} after {after}"), left).await
    }
}

/// Waits until `attempt` succeeds: an engine lists a change a moment after it has confirmed it.
async fn until(expected: String, attempt: impl AsyncFnMut() -> Result<(), Vec<String>>) -> Result<(), Error> {
    let ended = wait::until(LISTED_LIMIT, LISTED_PERIOD, attempt, |_| {}).await;
    ended
        .map(drop)
        .map_err(|expired| Error::unmet(expected, expired.to_string()))
}

fn none(unexpected: Vec<String>) -> Result<(), Vec<String>> {
    if unexpected.is_empty() {
        Ok(())
    } else {
        Err(unexpected)
    }
}

/// A second Compose file that adds the run's labels, so that the run's clean-up finds what Compose created. JSON is
/// valid YAML.
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
