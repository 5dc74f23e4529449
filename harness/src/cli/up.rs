//! `up`: builds and starts the mesh, waits until it is ready, and keeps it running until Ctrl-C.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::cluster::checkout::Checkout;
use harness::cluster::cleanup;
use harness::cluster::file_lock::FileLock;
use harness::cluster::image::{Kind, Ready};
use harness::cluster::mesh::{Mesh, Ownership};
use harness::cluster::mesh_key::MeshKey;
use harness::cluster::ports;
use harness::cluster::project;
use harness::cluster::resources::Resources;
use harness::cluster::topology::{Scale, Topology};
use harness::console::{Progress, seconds};
use harness::engine::owner::Owner;
use harness::engine::{Container, Engine, EngineError, label};
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::file_args::FileArgs;
use super::guard::{Afterwards, guarded, ownership};
use super::mesh_args::MeshArgs;
use super::output::print;
use super::{listing, prepare, project as user_project};

/// Default of `--timeout`, in seconds.
const DEFAULT_TIMEOUT: u64 = 30;

#[derive(Debug, clap::Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    build: prepare::BuildArgs,
    /// Leave the mesh running and exit; `down` removes it. A project of -f is always left running
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Give the mesh a new key, so that only its own nodes are members
    #[arg(long)]
    key: bool,
    /// Number of containers of a service, such as service-a2=3 (repeatable)
    #[arg(long, value_name = "SERVICE=NUMBER")]
    scale: Vec<Scale>,
    /// Timeout for the mesh to become ready, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// With -f: also write compose.override.yaml, so that a plain `docker compose up` keeps the mesh
    #[arg(long)]
    install: bool,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) mesh: MeshArgs,
}

impl UpArgs {
    /// Whether only flags are given that may precede other commands.
    pub(super) fn is_default(&self) -> bool {
        !self.detach
            && !self.install
            && !self.key
            && !self.build.no_build
            && self.scale.is_empty()
            && self.timeout == DEFAULT_TIMEOUT
    }
}

pub(super) async fn run(
    args: UpArgs,
    before: MeshArgs,
    files: FileArgs,
    started_at: Instant,
    interrupts: Interrupts,
) -> Result<ExitCode, Error> {
    let mesh = args.mesh.or(before);
    let timeout = Duration::from_secs(args.timeout);
    if let Some(files) = args.files.or(files).project()? {
        if args.key {
            return Err(Error::environment(
                "--key with a Compose project",
                "leave one of them out: only the example mesh can be given a key",
            ));
        }
        let wanted = user_project::Wanted {
            build: args.build.build(),
            scale: args.scale,
            install: args.install,
            timeout,
        };
        return user_project::up((files, mesh), wanted, started_at, &interrupts).await;
    }
    if args.install {
        return Err(Error::environment(
            "--install without a project",
            "name the project's Compose file with -f",
        ));
    }
    let project = mesh.name()?;
    let checkout = Checkout::find()?;
    let topology = checkout.topology(&project)?.scaled(&args.scale)?;
    let selected = mesh.choice().connect().await?;
    let engine = selected.engine.clone();
    let progress = Progress::new();
    progress.say(&format!("Runtime {selected}."));
    for name in &topology.unset {
        progress.say(&format!(
            "The variable {name} of the Compose file is not set; it is taken as empty."
        ));
    }
    sweep(&engine, &progress).await?;
    let ownership = ownership(args.detach);
    refuse_second(&engine, &topology, &ownership.run).await?;
    ports::check_free(&engine, &topology, &ownership.run).await?;

    let key = MeshKey::of_project(&checkout, &project);
    let topology = if args.key {
        key.create(&topology, &engine)?;
        key.given_to(topology)
    } else {
        topology
    };

    let work = async {
        let ready = prepare::image(
            &engine,
            &checkout,
            Kind::Mesh,
            &topology.image,
            args.build.build(),
            &interrupts,
            &progress,
        )
        .await?;
        let mesh = start(&engine, &checkout, topology, &ready, &ownership, &progress).await?;
        converge(&mesh, timeout, &interrupts, &progress).await?;
        show(&engine, &mesh, started_at, &interrupts).await?;
        if args.key {
            let file = key.file();
            progress.say(&format!(
                "The mesh has a key; its Compose override is {}.",
                file.display()
            ));
        }
        if args.detach {
            let next = ["status", "logs", "down"].map(|what| project::command(what, &project));
            progress.say(&format!("The mesh stays up. Next:\n  {}", next.join("\n  ")));
            return Ok((ExitCode::SUCCESS, Afterwards::Keep));
        }
        progress.say("Press Ctrl-C to stop the mesh and remove it.");
        let watched = super::watch::containers(&engine, &mesh, &ownership.run, &progress);
        if interrupts.stop.run_until_cancelled(watched).await.is_some() {
            progress.say("The mesh was removed by another process.");
            return Ok((ExitCode::FAILURE, Afterwards::Remove));
        }
        progress.stage("stopping");
        progress.note("waiting for requests in flight (Ctrl-C again: stop at once)");
        let failed = mesh.stop_all().await;
        if failed.is_empty() {
            progress.done(&format!("all {} stopped", engine.nodes()));
            return Ok((ExitCode::SUCCESS, Afterwards::Remove));
        }
        progress.done(&format!("all {} stopped, some with an error", engine.nodes()));
        progress.say(&failed.join("\n"));
        Ok((ExitCode::FAILURE, Afterwards::Remove))
    };
    let ended = guarded(&engine, &ownership, &interrupts, &progress, Box::pin(work)).await;
    if args.key && !args.detach {
        key.remove();
    }
    ended
}

/// Removes and reports the leftovers of crashed runs.
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
    // Held until the containers have been created, so that two processes do not both start the mesh.
    let _lock = start_lock(checkout).await;
    // Another process may have started it while the image was built.
    refuse_second(engine, &topology, &ownership.run).await?;
    let started = Mesh::start(engine, topology.clone(), &ready.image, ownership, progress).await;
    if started.is_err() {
        // Checks again for another owner: that error explains more than the engine's.
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
    waited.ok_or(Error::Interrupted)??;
    progress.done("all sidecars agree and every path has answered");
    Ok(())
}

/// Locks the start of meshes against other processes. Without the lock file, starts unlocked.
async fn start_lock(checkout: &Checkout) -> Option<FileLock> {
    let directory = checkout.target().join("harness");
    tokio::fs::create_dir_all(&directory).await.ok()?;
    FileLock::acquire(&directory.join("up.lock")).await.ok()
}

/// Prints the containers and the URLs to try.
async fn show(
    engine: &Engine,
    mesh: &Mesh,
    started_at: Instant,
    interrupts: &Interrupts,
) -> Result<(), Error> {
    let took = seconds(started_at.elapsed());
    let project = format!("{}={}", label::PROJECT, mesh.topology().project);
    let containers = engine.containers(&project).await?;
    let lines = listing::curl_lines(mesh.topology(), &containers).join("\n");
    let status = mesh.status().await?;
    let problems: String = status
        .problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect();
    let text = format!(
        "\n{}\n{problems}\nThe mesh `{}` is ready after {took}. Try:\n\n{lines}\n\n",
        listing::nodes(&status.nodes, engine.node_id()),
        mesh.topology().project
    );
    // An error is ignored: the mesh is running.
    let _ = print(text, interrupts).await;
    Ok(())
}

/// Refuses to start a mesh if it exists already with another run than `own`, and reports its owner.
async fn refuse_second(engine: &Engine, topology: &Topology, own: &str) -> Result<(), Error> {
    let project = &topology.project;
    let found = Resources::of(engine, topology).await?;
    let others = found.others();
    let mut existing = found.containers;
    existing.retain(|container| container.label(label::RUN) != own);
    // A mesh's network is created first.
    let owners = existing.iter().map(|container| &container.labels);
    let owner = owners
        .chain(found.networks.iter().map(|network| &network.labels))
        .filter(|labels| labels.get(label::RUN).is_some_and(|run| run != own))
        .find_map(|labels| labels.get(label::OWNER));
    if !existing.is_empty() || owner.is_some() {
        let owner = owner.and_then(|owner| owner.parse().ok());
        let what = state(project, owner.as_ref(), &existing);
        let advice = format!(
            "use it (`{}`), remove it (`{}`), or start another one with a different -p NAME and other ports, by \
             FRONTEND_PORT and its like",
            project::command("status", project),
            project::command("down", project)
        );
        return Err(Error::environment(what, advice));
    }
    if let Some(others) = others.filter(|_| !found.other_containers.is_empty()) {
        return Err(project::not_a_mesh(project, &others));
    }
    let network = topology.network_name();
    if found.other_networks.iter().any(|other| other.name == network) {
        return Err(Error::environment(
            format!("the network {network} exists already"),
            format!(
                "remove it if nothing needs it (`docker network rm {network}`), or use another name for the mesh \
                 (-p NAME)"
            ),
        ));
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

/// Describes an existing mesh and its owner.
fn state(project: &str, owner: Option<&Owner>, existing: &[Container]) -> String {
    let created = |container: &Container| container.state == "created";
    if existing.is_empty() || existing.iter().any(created) {
        match owner {
            Some(Owner::Process(process)) => {
                return format!("the mesh `{project}` is being started by process {}", process.pid);
            }
            Some(Owner::Detached) => {
                return format!(
                    "the mesh `{project}` is being started with --detach, or its start was interrupted"
                );
            }
            // Compose can create containers without starting them.
            None => {}
        }
    }
    let state = match existing.iter().filter(|container| container.running()).count() {
        0 if existing.is_empty() => "has only a network".to_owned(),
        0 => "exists but is stopped".to_owned(),
        1 if existing.len() == 1 => "is up, 1 container".to_owned(),
        running if running == existing.len() => format!("is up, {running} containers"),
        running => {
            let down = existing.iter().filter(|container| !container.running());
            let down: Vec<String> = down.map(|c| format!("{} {}", c.name, c.failure())).collect();
            format!(
                "is up, {running} of {} containers, and {}",
                existing.len(),
                down.join(", ")
            )
        }
    };
    let owner = match owner {
        Some(Owner::Process(process)) => format!("`harness up` is running as process {}", process.pid),
        Some(Owner::Detached) => "it was started with --detach".to_owned(),
        None => "Docker Compose started it".to_owned(),
    };
    format!("the mesh `{project}` {state}; {owner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_mesh_is_described_by_its_state_and_owner() {
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
                "the mesh `m` is being started with --detach, or its start was interrupted"
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
