//! `down`: stops and removes a mesh, whatever started it.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::join_all;
use harness::cluster::cleanup;
use harness::cluster::project::not_found;
use harness::console::Progress;
use harness::engine::label;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::mesh_args::MeshArgs;

/// Timeout for a graceful stop; services need two to four seconds.
const GRACE: Duration = Duration::from_secs(10);

pub(super) async fn run(args: MeshArgs, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    let project = &args.name()?;
    let selected = args.choice().connect_to(project).await?;
    let engine = selected.engine.clone();
    let progress = Progress::new();
    super::up::sweep(&engine, &progress).await?;
    let filter = format!("{}={project}", label::PROJECT);
    let containers = engine.containers(&filter).await?;
    if containers.is_empty() && engine.networks(&filter).await?.is_empty() {
        if selected.unreachable.is_some() {
            return Err(not_found(selected, project));
        }
        progress.say(&format!("There is no mesh `{project}`."));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unreachable) = &selected.unreachable {
        progress.say(&format!("{unreachable}; only local processes are checked."));
    }
    progress.stage("stopping");
    progress.note("waiting for requests in flight (Ctrl-C: stop at once)");
    let stops = containers.iter().filter(|container| container.running());
    let stops = join_all(stops.map(|container| engine.stop(&container.id, GRACE)));
    // Errors are ignored: whatever is still running is killed below.
    let _ = interrupts.stop.run_until_cancelled(stops).await;
    progress.done(project);
    progress.stage("removing");
    cleanup::remove_labelled(&engine, label::PROJECT, project).await?;
    progress.done("nothing is left");
    Ok(ExitCode::SUCCESS)
}
