//! `scale`: changes the number of containers of a project's services.

use std::process::ExitCode;

use harness::cluster::topology::Scale;
use harness::console::Progress;
use harness::engine::Docker;
use harness::error::Error;

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::{open, up};

pub(in crate::cli) async fn run(
    files: FileArgs,
    mesh: MeshArgs,
    scales: &[Scale],
) -> Result<ExitCode, Error> {
    let engine = Docker::connect().await?;
    let project = open(files, mesh, Some(&engine)).await?;
    for scale in scales {
        up::check_scale(&project, &scale.service, scale.count.into())?;
    }
    let _lock = if project.injected() {
        Some(project.folder.lock().await?)
    } else {
        None
    };
    let mut state = project.folder.state()?;
    let mut arguments = if project.injected() {
        project.arguments()
    } else {
        project.own_arguments()
    };
    arguments.extend(["up", "-d", "--no-recreate"].map(str::to_owned));
    for Scale { service, count } in scales {
        state.scale.insert(service.clone(), u64::from(*count));
        arguments.extend(["--scale".to_owned(), format!("{service}={count}")]);
    }
    arguments.extend(scales.iter().map(|scale| scale.service.clone()));
    project.compose.run(&arguments).await?;
    if project.injected() {
        project.folder.keep(&state)?;
    }
    Progress::new().say(
        "Connections that are open stay where they are: clients with pools that never close them, such as those of \
         gRPC and of databases, use new containers only after a reconnect.",
    );
    Ok(ExitCode::SUCCESS)
}
