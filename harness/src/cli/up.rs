//! `up`: the mesh, from nothing to ready, until it is no longer wanted.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::checkout::Checkout;
use harness::cleanup;
use harness::error::Error;
use harness::figures::seconds;
use harness::image::{self, Ready};
use harness::interrupt::Interrupts;
use harness::mesh::{Belonging, Mesh};
use harness::owner::Owner;
use harness::ports;
use harness::report::{Progress, table};
use harness::runtime::{Container, Docker, RuntimeError, label};
use harness::topology::Topology;

use super::guard::{Afterwards, belonging, guarded};

/// What the user wants of `up`.
pub(super) struct Wish {
    pub(super) project: String,
    pub(super) build: bool,
    pub(super) detach: bool,
    pub(super) limit: Duration,
}

pub(super) async fn run(wish: Wish, begun: Instant, interrupts: Interrupts) -> Result<ExitCode, Error> {
    let checkout = Checkout::find()?;
    let topology = checkout.topology(&wish.project)?;
    let docker = Docker::connect().await?;
    let progress = Progress::new();
    sweep(&docker, &progress).await?;
    refuse_second(&docker, &topology).await?;
    let belonging = belonging(wish.detach);
    ports::check_free(&docker, &topology, &belonging.run).await?;

    let work = async {
        let ready = prepare_image(
            &docker,
            &checkout,
            &topology.image,
            wish.build,
            &interrupts,
            &progress,
        )
        .await?;
        let mesh = launch(
            &docker,
            topology,
            &ready,
            &belonging,
            &wish,
            &interrupts,
            &progress,
        )
        .await?;
        show(&docker, &mesh, begun).await?;
        if wish.detach {
            let flag = if wish.project == "example" {
                String::new()
            } else {
                format!(" -p {}", wish.project)
            };
            progress.say(&format!(
                "It stays up. Next: cargo run -p harness -- status | logs | down{flag}"
            ));
            return Ok((ExitCode::SUCCESS, Afterwards::Keep));
        }
        progress.say("Ctrl-C stops it and removes everything.");
        interrupts.stop.cancelled().await;
        progress.stage("stopping");
        progress.note("services finish what is under way (Ctrl-C again: at once)");
        let unwell = mesh.stop_all().await;
        progress.done("all containers have stopped");
        if unwell.is_empty() {
            return Ok((ExitCode::SUCCESS, Afterwards::Remove));
        }
        progress.say(&unwell.join("\n"));
        Ok((ExitCode::FAILURE, Afterwards::Remove))
    };
    guarded(&docker, &belonging, &interrupts, &progress, Box::pin(work)).await
}

/// Removes what crashed runs left, and says so.
pub(super) async fn sweep(docker: &Docker, progress: &Progress) -> Result<(), Error> {
    for project in cleanup::sweep(docker).await? {
        progress.say(&format!(
            "Removed what a crashed run of the mesh `{project}` had left."
        ));
    }
    Ok(())
}

/// The image, built or taken as it is; given up when the user interrupts.
pub(super) async fn prepare_image(
    docker: &Docker,
    checkout: &Checkout,
    name: &str,
    build: bool,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Ready, Error> {
    progress.stage("image");
    let ensured = async {
        if build {
            image::ensure(docker, checkout.root(), name, progress).await
        } else {
            image::existing(docker, name).await
        }
    };
    let ready = interrupts
        .stop
        .run_until_cancelled(ensured)
        .await
        .ok_or(Error::Interrupted)??;
    let how = match (build, ready.cached) {
        (true, true) => "unchanged",
        (true, false) => "built",
        (false, _) => "as it is",
    };
    let size = ready.image.size as f64 / 1_000_000.0;
    progress.done(&format!("{name}, {size:.1} MB, {how}"));
    Ok(ready)
}

async fn launch(
    docker: &Docker,
    topology: Topology,
    ready: &Ready,
    belonging: &Belonging,
    wish: &Wish,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Mesh, Error> {
    let started = Mesh::start(docker, topology.clone(), &ready.image, belonging, progress).await;
    let mesh = match started {
        // Between the first look and the start somebody else took it: look again, to say who.
        Err(error) => {
            ports::check_free(docker, &topology, &belonging.run).await?;
            return Err(error);
        }
        Ok(mesh) => mesh,
    };
    progress.stage("converging");
    let waited = interrupts
        .stop
        .run_until_cancelled(mesh.ready(wish.limit, progress))
        .await;
    let took = waited.ok_or(Error::Interrupted)??;
    let took = seconds(took);
    progress.done(&format!(
        "every sidecar sees the same mesh, every path has answered, {took} after the last start"
    ));
    Ok(mesh)
}

async fn show(docker: &Docker, mesh: &Mesh, begun: Instant) -> Result<(), Error> {
    let took = seconds(begun.elapsed());
    let project = format!("{}={}", label::PROJECT, mesh.topology().project);
    let containers = docker.containers(&project).await?;
    let lines = table::curl_lines(mesh.topology(), &containers).join("\n");
    // Where nobody reads standard output any more, the mesh runs all the same.
    let _ = writeln!(
        std::io::stdout(),
        "\n{}\n\nThe mesh `{}` is ready after {took}. Try:\n\n{lines}\n",
        table::containers(&containers),
        mesh.topology().project
    );
    Ok(())
}

/// Refuses to start a mesh of which something is there already, and says whose it is.
async fn refuse_second(docker: &Docker, topology: &Topology) -> Result<(), Error> {
    let project = &topology.project;
    let there = docker
        .containers(&format!("{}={project}", label::PROJECT))
        .await?;
    if let Some(container) = there.first() {
        let running = there.iter().filter(|container| container.running()).count();
        let state = if running == 0 {
            "exists, stopped".to_owned()
        } else {
            format!("is up, {running} containers")
        };
        let what = format!("the mesh `{project}` {state}; {}", whose(container));
        let advice = "use it as it is (`status` instead of `up` shows it), take it away with `down`, or start another \
                      beside it with -p NAME and other FRONTEND_PORT, LB_A_PORT and LB_B_PORT";
        return Err(Error::environment(what, advice));
    }
    let names: Vec<&str> = topology
        .members
        .iter()
        .map(|member| member.service.container_name.as_str())
        .collect();
    let all = docker.all_containers().await?;
    match all
        .into_iter()
        .find(|container| names.contains(&container.name.as_str()))
    {
        Some(Container { name, .. }) => Err(RuntimeError::NameTaken { name }.into()),
        None => Ok(()),
    }
}

fn whose(container: &Container) -> String {
    match container.label(label::OWNER).parse() {
        Ok(Owner::Process(process)) => format!("`harness up` runs as process {}", process.pid),
        Ok(Owner::Detached) => "it was started with --detach".to_owned(),
        Err(_) => "Docker Compose started it".to_owned(),
    }
}
