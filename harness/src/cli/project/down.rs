//! `down`: stops and removes a project with its waypoints, as Compose does. Volumes stay.

use std::process::ExitCode;

use harness::console::Progress;
use harness::engine::Docker;
use harness::error::Error;
use harness::project::waypoints::waypoints;

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::{open, remove};

pub(in crate::cli) async fn run(files: FileArgs, mesh: MeshArgs) -> Result<ExitCode, Error> {
    let progress = Progress::new();
    let engine = Docker::connect().await?;
    let project = open(files, mesh, Some(&engine)).await?;
    let mut arguments = if project.injected() {
        project.arguments()
    } else {
        // Otherwise the waypoints would keep the networks.
        for container in waypoints(&engine.project(&project.name).await?) {
            remove(&engine, container).await?;
        }
        project.own_arguments()
    };
    arguments.push("down".to_owned());
    project.compose.run(&arguments).await?;
    for container in waypoints(&engine.project(&project.name).await?) {
        remove(&engine, container).await?;
    }
    let mut state = project.folder.state()?;
    if let Some(volume) = state.volume.take() {
        engine.remove_volume(&volume, &project.name).await?;
    }
    if project.injected() {
        // As with Compose, `up` begins with the numbers of the file.
        state.scale.clear();
        state.moved.clear();
        state.waypoints.clear();
        project.folder.keep(&state)?;
    }
    progress.say(&format!(
        "The project {} is down; its volumes and {} are kept.",
        project.name,
        project.folder.path().display()
    ));
    Ok(ExitCode::SUCCESS)
}
