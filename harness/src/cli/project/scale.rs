//! `scale`: changes the number of containers of a project's services.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::cluster::topology::Scale;
use harness::console::Progress;
use harness::engine::Docker;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::{open, up};

/// Timeout for waypoints to run that get host ports.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(in crate::cli) async fn run(
    files: FileArgs,
    mesh: MeshArgs,
    scales: Vec<Scale>,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let engine = Docker::connect().await?;
    let project = open(files.clone(), mesh.clone(), Some(&engine)).await?;
    let injected = project.injected();
    let lock = if injected {
        Some(project.folder.lock().await?)
    } else {
        None
    };
    let before = project.folder.state()?;
    let mut state = before.clone();
    up::take_scales(&project, &mut state, &scales)?;
    let note = "Connections that are open stay where they are: clients with pools that never close them, such as those of \
                gRPC and of databases, use new containers only after a reconnect.";
    if state.moved != before.moved {
        if !injected {
            let moved: Vec<&str> = state.moved.iter().map(String::as_str).collect();
            return Err(Error::environment(
                format!(
                    "only one container of {} can have the host's port",
                    moved.join(", ")
                ),
                "make the project a mesh first (`up`): then the port moves to the waypoint",
            ));
        }
        drop(lock);
        let wanted = up::Wanted {
            build: false,
            scale: scales,
            install: false,
            timeout: TIMEOUT,
        };
        let code = up::run((files, mesh), wanted, Instant::now(), interrupts).await?;
        Progress::new().say(note);
        return Ok(code);
    }
    let mut arguments = if injected {
        project.arguments()
    } else {
        project.own_arguments()
    };
    arguments.extend(["up", "-d", "--no-recreate"].map(str::to_owned));
    for Scale { service, count } in &scales {
        arguments.extend(["--scale".to_owned(), format!("{service}={count}")]);
    }
    arguments.extend(scales.iter().map(|scale| scale.service.clone()));
    project.compose.run(&arguments).await?;
    if injected {
        project.folder.keep(&state)?;
    }
    Progress::new().say(note);
    Ok(ExitCode::SUCCESS)
}
