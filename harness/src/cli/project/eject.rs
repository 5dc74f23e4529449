//! `eject`: takes the waypoints out of a project that goes on running.

use std::collections::BTreeMap;
use std::process::ExitCode;

use harness::console::Progress;
use harness::engine::{Docker, label};
use harness::error::Error;
use harness::project::compose_program::Generation;
use harness::project::files::generated;
use harness::project::override_file::WAYPOINT_LABEL;
use harness::project::scaling;
use harness::project::waypoints::waypoints;

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::{open, remove};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EjectArgs {
    #[command(flatten)]
    pub(in crate::cli) files: FileArgs,
    #[command(flatten)]
    pub(in crate::cli) mesh: MeshArgs,
}

pub(in crate::cli) async fn run(files: FileArgs, mesh: MeshArgs) -> Result<ExitCode, Error> {
    let progress = Progress::new();
    let engine = Docker::connect().await?;
    let project = open(files, mesh, Some(&engine)).await?;
    let containers = engine.project(&project.name).await?;
    // As many containers as run now: Compose would otherwise go back to the file's number.
    let mut running: BTreeMap<&str, u64> = BTreeMap::new();
    for container in containers.iter().filter(|container| container.running()) {
        let service = container.label(label::SERVICE);
        if !container.labels.contains_key(WAYPOINT_LABEL) && project.config.services.contains_key(service) {
            *running.entry(service).or_default() += 1;
        }
    }
    for (service, count) in &mut running {
        if scaling::takes_host_port(&project.config, service, *count) {
            progress.say(&format!(
                "{service} has one container again: only one can have its host port."
            ));
            *count = 1;
        }
    }
    // A service gets its host ports back only after its waypoint has given them away.
    let mut removed = 0;
    for container in waypoints(&containers).filter(|container| container.publishes) {
        remove(&engine, container).await?;
        removed += 1;
    }
    if !running.is_empty() {
        let mut arguments = project.own_arguments();
        arguments.extend(["up", "-d", "--no-deps"].map(str::to_owned));
        for (service, count) in &running {
            arguments.extend(["--scale".to_owned(), format!("{service}={count}")]);
        }
        arguments.extend(running.keys().map(|service| (*service).to_owned()));
        project.compose.run(&arguments).await?;
    }
    // Only after the callers have left them.
    for container in waypoints(&containers).filter(|container| !container.publishes) {
        remove(&engine, container).await?;
        removed += 1;
    }
    if let Some(volume) = project.folder.state()?.volume {
        engine.remove_volume(&volume, &project.name).await?;
    }
    if generated(&project.installed()) {
        // What stays is told by Compose's next command.
        let _ = std::fs::remove_file(project.installed());
    }
    project.folder.remove()?;
    let running = running.into_keys().collect();
    let depending = project.config.depending_on_ended(&running);
    if project.compose.generation == Generation::V2 && !depending.is_empty() {
        progress.say(&format!(
            "Compose's next `up` recreates {}, because what has ended, on which they depend, was left as it is.",
            depending.join(", ")
        ));
    }
    progress.say(&format!(
        "Removed {removed} waypoints and {}; the project runs as before.",
        project.folder.path().display()
    ));
    Ok(ExitCode::SUCCESS)
}
