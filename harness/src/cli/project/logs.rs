//! `logs`: a project's logs, by Compose.

use std::process::ExitCode;

use harness::engine::Docker;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::open;

pub(in crate::cli) async fn run(
    files: FileArgs,
    mesh: MeshArgs,
    flags: Vec<String>,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let engine = Docker::connect().await?;
    let project = open(files, mesh, Some(&engine)).await?;
    let mut arguments = if project.injected() {
        project.arguments()
    } else {
        project.own_arguments()
    };
    arguments.push("logs".to_owned());
    arguments.extend(flags);
    let printing = project.compose.run(&arguments);
    interrupts
        .stop
        .run_until_cancelled(printing)
        .await
        .unwrap_or(Err(Error::Interrupted))?;
    Ok(ExitCode::SUCCESS)
}
