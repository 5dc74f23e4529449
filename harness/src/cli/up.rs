//! `up`: the mesh, from nothing to ready, until it is no longer wanted.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::cluster::checkout::Checkout;
use harness::cluster::cleanup;
use harness::cluster::file_lock;
use harness::cluster::image::{Kind, Ready};
use harness::cluster::mesh::{Mesh, Ownership};
use harness::cluster::ports;
use harness::cluster::project;
use harness::cluster::topology::Topology;
use harness::engine::owner::Owner;
use harness::engine::{Container, Engine, EngineChoice, EngineError, label};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::report::{Progress, seconds, table};

use super::guard::{Afterwards, guarded, ownership};
use super::prepare;

/// What the user wants of `up`.
pub(super) struct Wish {
    pub(super) project: String,
    pub(super) choice: EngineChoice,
    pub(super) build: bool,
    pub(super) detach: bool,
    pub(super) limit: Duration,
}

pub(super) async fn run(wish: Wish, begun: Instant, interrupts: Interrupts) -> Result<ExitCode, Error> {
    let checkout = Checkout::find()?;
    let topology = checkout.topology(&wish.project)?;
    let chosen = wish.choice.connect().await?;
    let engine = chosen.engine.clone();
    let progress = Progress::new();
    progress.say(&format!("Runtime {chosen}."));
    sweep(&engine, &progress).await?;
    let ownership = ownership(wish.detach);
    refuse_second(&engine, &topology, &ownership.run).await?;
    ports::check_free(&engine, &topology, &ownership.run).await?;

    let work = async {
        let ready = prepare::image(
            &engine,
            &checkout,
            Kind::Mesh,
            &topology.image,
            wish.build,
            &interrupts,
            &progress,
        )
        .await?;
        let mesh = start(&engine, &checkout, topology, &ready, &ownership, &progress).await?;
        converge(&mesh, wish.limit, &interrupts, &progress).await?;
        show(&engine, &mesh, begun).await?;
        if wish.detach {
            let next = ["status", "logs", "down"].map(|what| project::command(what, &wish.project));
            progress.say(&format!("The mesh stays up. Next:\n  {}", next.join("\n  ")));
            return Ok((ExitCode::SUCCESS, Afterwards::Keep));
        }
        progress.say("Press Ctrl-C to stop the mesh and remove it.");
        let watched = super::watch::containers(&engine, &mesh, &ownership.run, &progress);
        if interrupts.stop.run_until_cancelled(watched).await.is_some() {
            progress.say("Nothing is left of the mesh: somebody else removed it.");
            return Ok((ExitCode::FAILURE, Afterwards::Remove));
        }
        progress.stage("stopping");
        progress.note("letting services finish (Ctrl-C again: stop at once)");
        let unwell = mesh.stop_all().await;
        if unwell.is_empty() {
            progress.done(&format!("all {} stopped", engine.nodes()));
            return Ok((ExitCode::SUCCESS, Afterwards::Remove));
        }
        progress.done(&format!(
            "all {} stopped, some of them with an error",
            engine.nodes()
        ));
        progress.say(&unwell.join("\n"));
        Ok((ExitCode::FAILURE, Afterwards::Remove))
    };
    guarded(&engine, &ownership, &interrupts, &progress, Box::pin(work)).await
}

/// Removes what crashed runs left, and says so.
pub(super) async fn sweep(engine: &Engine, progress: &Progress) -> Result<(), Error> {
    for leftover in cleanup::sweep(engine).await? {
        let meshes: Vec<String> = leftover
            .projects
            .iter()
            .map(|project| format!(" of the mesh `{project}`"))
            .collect();
        progress.say(&format!(
            "Removed the leftovers of a crashed run{}.",
            meshes.join(" and")
        ));
    }
    Ok(())
}

async fn start(
    engine: &Engine,
    checkout: &Checkout,
    topology: Topology,
    ready: &Ready,
    ownership: &Ownership,
    progress: &Progress,
) -> Result<Mesh, Error> {
    // Of two that start the same mesh at once, one shall have it.
    let _turn = turn(checkout).await;
    // While the image was being made, somebody else may have begun.
    refuse_second(engine, &topology, &ownership.run).await?;
    let started = Mesh::start(engine, topology.clone(), &ready.image, ownership, progress).await;
    if started.is_err() {
        // Between the look and the start somebody else took it: look again, to say who.
        refuse_second(engine, &topology, &ownership.run).await?;
        ports::check_free(engine, &topology, &ownership.run).await?;
    }
    started
}

async fn converge(
    mesh: &Mesh,
    limit: Duration,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<(), Error> {
    progress.stage("converging");
    let waited = interrupts
        .stop
        .run_until_cancelled(mesh.ready(limit, progress))
        .await;
    let took = waited.ok_or(Error::Interrupted)??;
    let took = seconds(took);
    progress.done(&format!(
        "all sidecars agree and every path has answered, {took} after the last start"
    ));
    Ok(())
}

/// The turn to start a mesh. Where the file for it cannot be made, it is done without.
async fn turn(checkout: &Checkout) -> Option<File> {
    let directory = checkout.target().join("harness");
    tokio::fs::create_dir_all(&directory).await.ok()?;
    file_lock::take(&directory.join("up.lock")).await.ok()
}

async fn show(engine: &Engine, mesh: &Mesh, begun: Instant) -> Result<(), Error> {
    let took = seconds(begun.elapsed());
    let project = format!("{}={}", label::PROJECT, mesh.topology().project);
    let containers = engine.containers(&project).await?;
    let lines = table::curl_lines(mesh.topology(), &containers).join("\n");
    // Where nobody reads standard output any more, the mesh runs all the same.
    let _ = writeln!(
        std::io::stdout(),
        "\n{}\n\nThe mesh `{}` is ready after {took}. Try:\n\n{lines}\n",
        table::containers(engine.node_id(), &containers),
        mesh.topology().project
    );
    Ok(())
}

/// Refuses to start a mesh of which something is there already that is not of the run `own`, and says whose it is.
async fn refuse_second(engine: &Engine, topology: &Topology, own: &str) -> Result<(), Error> {
    let project = &topology.project;
    let filter = format!("{}={project}", label::PROJECT);
    let mut there = engine.containers(&filter).await?;
    there.retain(|container| container.label(label::RUN) != own);
    // The network is what a mesh begins with. One that Compose made may stay behind without its containers.
    let networks = engine.networks(&filter).await?;
    let owners = there.iter().map(|container| &container.labels);
    let owner = owners
        .chain(networks.iter().map(|network| &network.labels))
        .filter(|labels| labels.get(label::RUN).is_some_and(|run| run != own))
        .find_map(|labels| labels.get(label::OWNER));
    if !there.is_empty() || owner.is_some() {
        let owner = owner.and_then(|owner| owner.parse().ok());
        let what = state(project, owner.as_ref(), &there);
        let advice = format!(
            "use it as it is (`{}` shows it), remove it (`{}`), or start another beside it with a different -p NAME and \
             different FRONTEND_PORT, LB_A_PORT and LB_B_PORT",
            project::command("status", project),
            project::command("down", project)
        );
        return Err(Error::environment(what, advice));
    }
    let names: Vec<&str> = topology
        .members
        .iter()
        .map(|member| member.service.container_name.as_str())
        .collect();
    let all = engine.all_containers().await?;
    match all
        .into_iter()
        .find(|container| names.contains(&container.name.as_str()) && container.label(label::RUN) != own)
    {
        Some(Container { name, .. }) => Err(EngineError::NameTaken { name }.into()),
        None => Ok(()),
    }
}

/// What there is of a mesh, and whose it is.
fn state(project: &str, owner: Option<&Owner>, there: &[Container]) -> String {
    let begins = |container: &Container| container.state == "created";
    if there.is_empty() || there.iter().any(begins) {
        match owner {
            Some(Owner::Process(process)) => {
                return format!("the mesh `{project}` is being started by process {}", process.pid);
            }
            Some(Owner::Detached) => {
                return format!(
                    "the mesh `{project}` is being started with --detach, or its start was cut off"
                );
            }
            // What Compose has only created it may have been told only to create.
            None => {}
        }
    }
    let state = match there.iter().filter(|container| container.running()).count() {
        0 if there.is_empty() => "has only a network".to_owned(),
        0 => "exists but is stopped".to_owned(),
        1 if there.len() == 1 => "is up, 1 container".to_owned(),
        running if running == there.len() => format!("is up, {running} containers"),
        running => {
            let down = there.iter().filter(|container| !container.running());
            let down: Vec<String> = down.map(|c| format!("{} {}", c.name, c.plight())).collect();
            format!(
                "is up, {running} of {} containers, and {}",
                there.len(),
                down.join(", ")
            )
        }
    };
    let whose = match owner {
        Some(Owner::Process(process)) => format!("`harness up` is running as process {}", process.pid),
        Some(Owner::Detached) => "it was started with --detach".to_owned(),
        None => "Docker Compose started it".to_owned(),
    };
    format!("the mesh `{project}` {state}; {whose}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_that_is_there_is_told_by_how_far_it_is_and_whose() {
        let container = |state: &str, status: &str| Container {
            name: "m-lb".to_owned(),
            state: state.to_owned(),
            status: status.to_owned(),
            ..Container::default()
        };
        let this = Owner::Process(harness::engine::owner::Process::this());
        let pid = std::process::id();
        let starting = format!("the mesh `m` is being started by process {pid}");
        let up = || container("running", "Up 3 seconds (healthy)");
        assert_eq!(state("m", Some(&this), &[]), starting);
        assert_eq!(
            state("m", Some(&this), &[up(), container("created", "Created")]),
            starting
        );
        for early in [vec![], vec![container("created", "Created")]] {
            assert_eq!(
                state("m", Some(&Owner::Detached), &early),
                "the mesh `m` is being started with --detach, or its start was cut off"
            );
        }
        assert_eq!(
            state(
                "m",
                Some(&this),
                &[up(), up(), container("exited", "Exited (0) 1 second ago")]
            ),
            format!(
                "the mesh `m` is up, 2 of 3 containers, and m-lb has ended (exit code 0); `harness up` is running as process \
                 {pid}"
            )
        );
        assert_eq!(
            state("m", None, &[container("exited", "Exited (0) 1 second ago")]),
            "the mesh `m` exists but is stopped; Docker Compose started it"
        );
        assert_eq!(
            state("m", Some(&Owner::Detached), &[up()]),
            "the mesh `m` is up, 1 container; it was started with --detach"
        );
    }
}
