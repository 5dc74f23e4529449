//! `down`: stops and removes a mesh, whether the harness or Compose started it.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::join_all;
use harness::cluster::checkout::Checkout;
use harness::cluster::cleanup;
use harness::cluster::mesh_key::MeshKey;
use harness::cluster::project;
use harness::cluster::resources::Resources;
use harness::console::Progress;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::file_args::FileArgs;
use super::mesh_args::MeshArgs;
use super::project as user_project;

/// Timeout for a graceful stop; services need two to four seconds.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct DownArgs {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    mesh: MeshArgs,
}

pub(super) async fn run(
    args: DownArgs,
    before: MeshArgs,
    files: FileArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let (args, files) = (args.mesh.or(before), args.files.or(files).project()?);
    if let Some(files) = files {
        return user_project::down(files, args).await;
    }
    let (topology, mut located) = args.locate().await?;
    let engine = located.selected.engine.clone();
    let progress = Progress::new();
    super::up::sweep(&engine, &progress).await?;
    located.resources = Resources::of(&engine, &topology).await?;
    let (found, project) = (&located.resources, &topology.project);
    if found.is_empty() {
        if located.selected.unreachable.is_some() || found.others().is_some() {
            return Err(located.not_found(&topology).await?);
        }
        progress.say(&format!("There is no mesh `{project}`."));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unreachable) = &located.selected.unreachable {
        progress.say(&format!("{unreachable}; only local processes are checked."));
    }
    progress.stage("stopping");
    progress.note("waiting for requests in flight (Ctrl-C: stop at once)");
    let stops = found.containers.iter().filter(|container| container.running());
    let stops = join_all(stops.map(|container| engine.stop(&container.id, GRACE)));
    // Errors are ignored: whatever is still running is killed below.
    let _ = interrupts.stop.run_until_cancelled(stops).await;
    progress.done(project);
    progress.stage("removing");
    let kept = cleanup::remove_mesh(&engine, &topology, found).await?;
    if !kept.is_empty() {
        progress.failed();
        let kept: Vec<String> = kept
            .iter()
            .map(|(network, user)| format!("the network {} is in use by container {user}", network.name))
            .collect();
        let again = project::command("down", project);
        return Err(Error::environment(
            kept.join("\n"),
            format!("disconnect or remove what uses it, then run `{again}` again"),
        ));
    }
    MeshKey::of_project(&Checkout::find()?, project).remove();
    progress.done("nothing is left");
    if let Some(others) = found.others() {
        progress.say(&format!("Left alone, because it is not the mesh's: {others}."));
    }
    Ok(ExitCode::SUCCESS)
}
