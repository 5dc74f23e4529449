//! An instance that comes back takes its turns again, and its coming costs no request.

use super::alternation::alternates;
use super::graceful_stop::{CLIENTS, PERIOD, STOPPED, answers_from, no_request_failed};
use super::{READY_LIMIT, Stage};
use crate::error::Error;
use crate::load::Load;
use crate::mesh::Mesh;
use crate::report::Progress;

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mesh = stage.mesh().await?;
    mesh.stop(STOPPED).await?;
    let load = Load::start(&mesh.routes()?, CLIENTS, PERIOD);
    let result = come_back(mesh, &load).await;
    let record = load.finish().await;
    result?;
    no_request_failed(&record)?;
    for route in mesh.routes()? {
        alternates(mesh, &route).await?;
    }
    Ok(())
}

async fn come_back(mesh: &mut Mesh, load: &Load) -> Result<(), Error> {
    mesh.start_again(STOPPED).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    let host = mesh.node(STOPPED)?.container.short_id();
    answers_from(
        load,
        host,
        &format!("{STOPPED} ({host}) answers again after its return"),
    )
    .await?;
    Ok(())
}
