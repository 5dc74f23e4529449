//! `down`: takes a mesh away, whoever started it.

use std::process::ExitCode;

use futures_util::future::join_all;
use harness::cluster::cleanup;
use harness::engine::{EngineChoice, label};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::report::Progress;

/// Time for a graceful stop; services need two to four seconds.
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) async fn run(
    project: &str,
    choice: EngineChoice,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let chosen = choice.connect_to(project).await?;
    let engine = chosen.engine.clone();
    let progress = Progress::new();
    super::up::sweep(&engine, &progress).await?;
    let filter = format!("{}={project}", label::PROJECT);
    let containers = engine.containers(&filter).await?;
    if containers.is_empty() && engine.networks(&filter).await?.is_empty() {
        if chosen.unseen.is_some() {
            return Err(chosen.nothing_of(project));
        }
        progress.say(&format!("There is no mesh `{project}`."));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unseen) = &chosen.unseen {
        progress.say(&format!("{unseen}; only processes are looked at."));
    }
    progress.stage("stopping");
    progress.note("letting services finish (Ctrl-C: stop at once)");
    let stops = containers.iter().filter(|container| container.running());
    let stops = join_all(stops.map(|container| engine.stop(&container.id, GRACE)));
    // What could not be stopped is killed below, so how it went does not matter here.
    let _ = interrupts.stop.run_until_cancelled(stops).await;
    progress.done(project);
    progress.stage("removing");
    cleanup::remove_labelled(&engine, label::PROJECT, project).await?;
    progress.done("nothing is left");
    Ok(ExitCode::SUCCESS)
}
