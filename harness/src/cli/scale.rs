//! `scale`: changes the number of containers of a running mesh's services.

use std::process::ExitCode;
use std::time::Duration;

use harness::cluster::topology::Scale;
use harness::console::{Progress, seconds};
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::file_args::FileArgs;
use super::mesh_args::MeshArgs;
use super::project as user_project;

/// Timeout for the mesh to become ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct ScaleArgs {
    /// Service of the Compose file and the number of its containers, such as service-a2=3
    #[arg(value_name = "SERVICE=NUMBER", required = true)]
    scales: Vec<Scale>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    mesh: MeshArgs,
}

pub(super) async fn run(
    args: ScaleArgs,
    before: MeshArgs,
    files: FileArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    if let Some(files) = args.files.or(files).project()? {
        return user_project::scale(files, args.mesh.or(before), args.scales, interrupts).await;
    }
    let mut mesh = args.mesh.or(before).attach().await?;
    for scale in &args.scales {
        mesh.topology().scalable(&scale.service)?;
    }
    let progress = Progress::new();
    let nodes = mesh.engine().nodes();
    let work = async {
        for scale in &args.scales {
            let Scale { service, count } = scale;
            progress.stage(service);
            let before = mesh.scale(scale).await?;
            progress.done(&format!("from {before} to {count} {nodes}"));
        }
        progress.stage("converging");
        let took = mesh.ready(READY_LIMIT, &progress).await?;
        progress.done(&format!(
            "all sidecars agree and every path has answered after {}",
            seconds(took)
        ));
        Ok(ExitCode::SUCCESS)
    };
    interrupts
        .stop
        .run_until_cancelled(Box::pin(work))
        .await
        .unwrap_or(Err(Error::Interrupted))
}
