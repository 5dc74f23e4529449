//! `up`: makes a project a mesh, and starts it with the user's Compose.

mod images;
mod looks;
mod start;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::cluster::topology::Scale;
use harness::console::{Progress, seconds};
use harness::engine::{Docker, Inspected};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::project::folder::State;
use harness::project::open::Project;
use harness::project::status::ProjectStatus;
use harness::project::waypoints::{addresses, moved, problems, replaced, superfluous};
use harness::project::{generate, scaling};

use self::images::{service_images, waypoint_image};
use self::looks::{first_phase, last_look};
use self::start::{ready, rejoin, start};
use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::{Planned, foreign_callers, notes, open, plan, remove, which};

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
    let mut state = project.folder.state()?;
    take_scales(&project, &mut state, &wanted.scale)?;
    state.installed |= wanted.install;
    let image = waypoint_image(engine, wanted.build, &progress).await?;
    service_images(&project, engine, &progress).await?;

    project.folder.create()?;
    let _lock = project.folder.lock().await?;
    let containers = engine.project(&project.name).await?;
    let before = containers.clone();
    let mut planned = plan(project, state, Some(engine), &containers).await?;
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

    let said = notes(&planned.plan);
    said.iter().for_each(|note| progress.say(note));
    run_planned(&mut planned, engine, (&image, wanted.timeout), &before, &progress).await?;
    if last_look(&mut planned, engine, &image, &progress).await? {
        let notes = notes(&planned.plan).into_iter();
        notes
            .filter(|note| !said.contains(note))
            .for_each(|note| progress.say(&note));
        run_planned(&mut planned, engine, (&image, wanted.timeout), &before, &progress).await?;
    }
    let Planned { project, plan, .. } = &planned;
    let containers = engine.project(&project.name).await?;
    let problems = problems(&containers, plan, engine.image_id(&image).await?.as_deref());
    let status = ProjectStatus::new(&project.name, plan, &containers, problems);
    let foreign = foreign_callers(project, plan, engine, &containers).await?;
    for note in status.problems.iter().chain(&foreign) {
        progress.say(&format!("Note: {note}."));
    }
    super::super::output::print(status.table(), interrupts).await?;
    progress.say(&format!(
        "The mesh is up after {}. {}",
        seconds(started_at.elapsed()),
        which(project)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Writes what is planned, has Compose run it, and reports what of `before` has changed.
async fn run_planned(
    planned: &mut Planned,
    engine: &Docker,
    (image, timeout): (&str, Duration),
    before: &[Inspected],
    progress: &Progress,
) -> Result<(), Error> {
    let Planned { project, state, plan } = planned;
    generate::write(project, plan, state, engine, image).await?;
    let containers = engine.project(&project.name).await?;
    start(project, plan, state, &containers, progress).await?;
    rejoin(project, engine).await?;
    let containers = ready(project, engine, timeout, progress).await?;
    for container in superfluous(&containers, plan) {
        progress.say(&format!(
            "Removed {}: the project does not need it any more.",
            container.name
        ));
        remove(engine, container).await?;
    }
    for line in replaced(before, &containers) {
        progress.say(&format!("{line}."));
    }
    let mut known = addresses(before);
    known.append(&mut state.waypoints);
    for line in moved(&known, &containers, plan) {
        progress.say(&format!("Note: {line}."));
    }
    state.waypoints = addresses(&containers);
    project.folder.keep(state)
}

/// Takes up the numbers of containers that the user wants. What only one container can have of the host moves to the
/// waypoint.
///
/// # Errors
/// A service cannot have that number.
pub(super) fn take_scales(project: &Project, state: &mut State, scales: &[Scale]) -> Result<(), Error> {
    for Scale { service, count } in scales {
        let count = u64::from(*count);
        scaling::check(&project.config, service, count).map_err(|reason| {
            Error::environment(reason, "leave it at one container, or change the project's file")
        })?;
        if scaling::takes_host_port(&project.config, service, count) {
            state.moved.insert(service.clone());
        }
        state.scale.insert(service.clone(), count);
    }
    Ok(())
}
