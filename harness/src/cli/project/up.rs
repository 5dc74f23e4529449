//! `up`: makes a project a mesh, and starts it with the user's Compose.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::cluster::checkout::Checkout;
use harness::cluster::image::{self, Kind};
use harness::cluster::topology::Scale;
use harness::console::{Progress, seconds};
use harness::engine::{Docker, Engine, Inspected};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::project::open::Project;
use harness::project::waypoints::{addresses, moved, problems, superfluous, waypoints};
use harness::project::{generate, listening, scaling};

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::{Planned, compose_line, foreign_callers, listing, notes, open, plan, which};

/// Time for a service to listen that is looked at because nothing declares its ports.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// Time for the other services to listen.
const LAST_LOOK: Duration = Duration::from_secs(3);
/// Polling interval for waypoints to run.
const PERIOD: Duration = Duration::from_millis(200);
/// Restarts of a waypoint after which it is not waited for.
const RESTARTS: i64 = 3;
/// Time for a waypoint to end by itself.
const GRACE: Duration = Duration::from_secs(15);

/// What the user wants of `up`.
pub(in crate::cli) struct Wanted {
    /// Whether the waypoints' image may be built.
    pub(in crate::cli) build: bool,
    /// Numbers of containers.
    pub(in crate::cli) scale: Vec<Scale>,
    /// Whether Compose's own override gets the additions too.
    pub(in crate::cli) install: bool,
    /// Timeout for the waypoints to run.
    pub(in crate::cli) timeout: Duration,
}

pub(in crate::cli) async fn run(
    (files, mesh): (FileArgs, MeshArgs),
    wanted: Wanted,
    started_at: Instant,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let engine = Docker::connect().await?;
    let work = up(&engine, (files, mesh), wanted, started_at, interrupts);
    let ended = interrupts.stop.run_until_cancelled(Box::pin(work)).await;
    engine.settled().await;
    ended.unwrap_or(Err(Error::Interrupted))
}

async fn up(
    engine: &Docker,
    (files, mesh): (FileArgs, MeshArgs),
    wanted: Wanted,
    started_at: Instant,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let progress = Progress::new();
    let project = open(files, mesh, Some(engine)).await?;
    progress.say(&format!(
        "Project {} with {}.",
        project.name,
        project.compose.described()
    ));
    for scale in &wanted.scale {
        check_scale(&project, &scale.service, scale.count.into())?;
    }
    let image = waypoint_image(engine, wanted.build, &progress).await?;
    service_images(&project, engine, &progress).await?;

    project.folder.create()?;
    let _lock = project.folder.lock().await?;
    let containers = engine.project(&project.name).await?;
    let before = addresses(&containers);
    let mut planned = plan(project, Some(engine), &containers).await?;
    planned.state.installed |= wanted.install;
    for scale in wanted.scale {
        planned.state.scale.insert(scale.service, scale.count.into());
    }
    generate::choose_source(&planned.project, &mut planned.state, engine, &image).await?;
    if let Some(volume) = &planned.state.volume {
        progress.say(&format!(
            "The engine does not see {}; the volume {volume} takes its place.",
            planned.project.folder.path().display()
        ));
        let mounting = generate::mounting(&planned.project);
        if !mounting.is_empty() {
            progress.say(&format!(
                "Warning: {} mount files from {}, which the engine does not see: it mounts empty directories, unless its \
                 machine has them at the same path.",
                mounting.join(", "),
                planned.project.directory.display()
            ));
        }
    }
    let mut planned = first_phase(planned, engine, &image, &progress).await?;

    let Planned { project, state, plan } = &mut planned;
    generate::write(project, plan, state, engine, &image).await?;
    for note in notes(plan) {
        progress.say(&note);
    }
    start(
        project,
        plan.waypoints.values().map(|waypoint| waypoint.name.as_str()),
        state,
        &progress,
    )
    .await?;
    let containers = ready(project, engine, wanted.timeout, &progress).await?;
    for container in superfluous(&containers, plan) {
        progress.say(&format!(
            "Removed {}: the project does not need it any more.",
            container.name
        ));
        remove(engine, container).await?;
    }
    for service in moved(&before, &addresses(&containers)) {
        let consumers: Vec<&str> = plan.consumers(&service).collect();
        progress.say(&format!(
            "The waypoint of {service} has another address now. Restart what resolves names only once: {}.",
            consumers.join(", ")
        ));
    }
    last_look(&mut planned, engine, &image, &progress).await?;
    let Planned { project, plan, .. } = &planned;
    let containers = engine.project(&project.name).await?;
    for note in problems(&containers, plan)
        .into_iter()
        .chain(foreign_callers(project, plan, engine, &containers).await?)
    {
        progress.say(&format!("Note: {note}."));
    }
    super::super::output::print(listing(plan, &containers), interrupts).await?;
    progress.say(&format!(
        "The mesh is up after {}. {}",
        seconds(started_at.elapsed()),
        which(project)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Refuses a number of containers that the service cannot have.
pub(super) fn check_scale(project: &Project, service: &str, count: u64) -> Result<(), Error> {
    scaling::check(&project.config, service, count).map_err(|reason| {
        Error::environment(reason, "leave it at one container, or change the project's file")
    })
}

/// The image of waypoints; built if the engine lacks it.
async fn waypoint_image(engine: &Docker, build: bool, progress: &Progress) -> Result<String, Error> {
    let name = harness::project::image();
    let engine = Engine::Docker(engine.clone());
    if engine.image(&name).await?.is_some() {
        return Ok(name);
    }
    if !build {
        let what = format!("--no-build: there is no image {name}");
        return Err(Error::environment(
            what,
            format!("remove --no-build, or build it: docker build -f compose/Dockerfile -t {name} ."),
        ));
    }
    progress.stage("image");
    image::ensure(&engine, &Checkout::built_from()?, Kind::Mesh, &name, progress).await?;
    progress.done(&name);
    Ok(name)
}

/// Has Compose build or pull the images that the engine lacks, because they declare ports.
async fn service_images(project: &Project, engine: &Docker, progress: &Progress) -> Result<(), Error> {
    let (mut build, mut pull) = (Vec::new(), Vec::new());
    for (name, service) in &project.config.services {
        if engine.image_ports(&project.image(name)).await?.is_none() {
            let list = if service.image.is_none() || service.builds {
                &mut build
            } else {
                &mut pull
            };
            list.push(name.clone());
        }
    }
    for (command, services) in [("build", build), ("pull", pull)] {
        if !services.is_empty() {
            progress.say(&format!("{command}: {}", services.join(", ")));
            let mut arguments = project.own_arguments();
            arguments.push(command.to_owned());
            arguments.extend(services);
            project.compose.run(&arguments).await?;
        }
    }
    Ok(())
}

/// Starts the services whose ports nothing declares, with what they depend on, and looks at them.
async fn first_phase(
    planned: Planned,
    engine: &Docker,
    image: &str,
    progress: &Progress,
) -> Result<Planned, Error> {
    if planned.plan.unknown.is_empty() {
        return Ok(planned);
    }
    let Planned {
        project,
        mut state,
        plan: first,
    } = planned;
    let names: Vec<&str> = first.unknown.iter().map(String::as_str).collect();
    progress.say(&format!(
        "Nothing declares the ports of {}: started first, to look.",
        names.join(", ")
    ));
    generate::write(&project, &first, &mut state, engine, image).await?;
    let mut arguments = project.arguments();
    arguments.extend(["up", "-d", "--no-recreate"].map(str::to_owned));
    arguments.extend(scales(&state, &project));
    arguments.extend(first.unknown.iter().cloned());
    project.compose.run(&arguments).await?;
    progress.stage("looking");
    let seen = listening::look(&project, engine, image, &first.unknown, FIRST_LOOK).await?;
    for name in &first.unknown {
        // What has ended is a job, and listens on nothing.
        state.seen.entry(name.clone()).or_default();
    }
    listening::take_up(&mut state.seen, seen);
    let found = first
        .unknown
        .iter()
        .filter(|name| state.seen.get(*name).is_some_and(|ports| !ports.is_empty()));
    let found: Vec<&str> = found.map(String::as_str).collect();
    progress.done(&match found.as_slice() {
        [] => "none listens".to_owned(),
        found => format!(
            "{} listen; what calls others is recreated with its links",
            found.join(", ")
        ),
    });
    project.folder.keep(&state)?;
    let containers = engine.project(&project.name).await?;
    plan(project, Some(engine), &containers).await.map(|mut planned| {
        planned.state.scale = state.scale;
        planned.state.volume = state.volume;
        planned
    })
}

/// `--scale` for each number that the user set, of services that are there.
pub(super) fn scales(state: &harness::project::folder::State, project: &Project) -> Vec<String> {
    let known = state
        .scale
        .iter()
        .filter(|(service, _)| project.config.services.contains_key(*service));
    known
        .flat_map(|(service, count)| ["--scale".to_owned(), format!("{service}={count}")])
        .collect()
}

/// Starts the waypoints alone, so that a changed one does not recreate its consumers, then everything else.
async fn start(
    project: &Project,
    waypoints: impl Iterator<Item = &str>,
    state: &harness::project::folder::State,
    progress: &Progress,
) -> Result<(), Error> {
    let base = || {
        let mut arguments = project.arguments();
        arguments.extend(["up", "-d"].map(str::to_owned));
        arguments
    };
    let names: Vec<String> = waypoints.map(str::to_owned).collect();
    if !names.is_empty() {
        progress.say(&format!("Waypoints: {}.", names.join(", ")));
        let mut arguments = base();
        arguments.push("--no-deps".to_owned());
        arguments.extend(names);
        project.compose.run(&arguments).await?;
    }
    let mut arguments = base();
    arguments.extend(scales(state, project));
    project.compose.run(&arguments).await
}

/// Waits until all waypoints run.
async fn ready(
    project: &Project,
    engine: &Docker,
    timeout: Duration,
    progress: &Progress,
) -> Result<Vec<Inspected>, Error> {
    progress.stage("waypoints");
    let deadline = Instant::now() + timeout;
    loop {
        let containers = engine.project(&project.name).await?;
        let down: Vec<&Inspected> = waypoints(&containers)
            .filter(|container| !container.running())
            .collect();
        let Some(first) = down.first() else {
            progress.done(&format!("{} run", waypoints(&containers).count()));
            return Ok(containers);
        };
        if Instant::now() >= deadline || first.restarts >= RESTARTS {
            progress.failed();
            let lines = Engine::Docker(engine.clone()).last_lines(&first.id, 5).await;
            let what = format!(
                "the waypoint {} is {}:\n{}",
                first.name,
                first.state,
                lines.join("\n")
            );
            let again = compose_line(project, "logs");
            return Err(Error::environment(
                what,
                format!("see `{again}`; `eject` takes the waypoints out again"),
            ));
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Looks at all services, so that no port stays shut that is open and that nothing declares.
async fn last_look(
    planned: &mut Planned,
    engine: &Docker,
    image: &str,
    progress: &Progress,
) -> Result<(), Error> {
    let Planned {
        project,
        state,
        plan: before,
    } = planned;
    let services: BTreeSet<String> = project.config.services.keys().cloned().collect();
    progress.stage("ports");
    let seen = listening::look(project, engine, image, &services, LAST_LOOK).await?;
    let news = listening::take_up(&mut state.seen, seen);
    project.folder.keep(state)?;
    let containers = engine.project(&project.name).await?;
    let after = plan(project.clone(), Some(engine), &containers).await?.plan;
    let unlinked: Vec<&str> = after
        .waypoints
        .keys()
        .filter(|service| !before.waypoints.contains_key(*service))
        .map(String::as_str)
        .collect();
    // Links change at the next `up` only; ports of a waypoint change in its file.
    for (service, waypoint) in &mut before.waypoints {
        if let Some(now) = after.waypoints.get(service) {
            waypoint.ports.clone_from(&now.ports);
        }
    }
    generate::write(project, before, state, engine, image).await?;
    progress.done(&match news.len() {
        0 => "no other port is open than those known".to_owned(),
        count => format!("seen at {count} services for the first time"),
    });
    if !unlinked.is_empty() {
        progress.say(&format!(
            "{}: now known to listen; `up` again adds waypoints.",
            unlinked.join(", ")
        ));
    }
    Ok(())
}

/// Stops and removes a waypoint.
pub(super) async fn remove(engine: &Docker, container: &Inspected) -> Result<(), Error> {
    let engine = Engine::Docker(engine.clone());
    if container.running() {
        // An error is told by the removal.
        let _ = engine.stop(&container.id, GRACE).await;
    }
    Ok(engine.remove(&container.id).await?)
}
