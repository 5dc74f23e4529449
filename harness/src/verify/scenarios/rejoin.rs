//! An instance that comes back takes its turns again, and its coming costs no request.

use std::time::Duration;

use super::alternation::alternates;
use super::graceful_stop::{STOPPED, answers_since, no_request_failed};
use crate::cluster::mesh::Mesh;
use crate::error::Error;
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::Traffic;

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    mesh.stop(STOPPED).await?;
    let traffic = stage.traffic(&mesh)?;
    let result = come_back(&mut mesh, &traffic, STOPPED).await;
    let record = traffic.finish().await;
    stage.measure(Promise::Rejoin, result?);
    no_request_failed(&record)?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}

/// Starts a member that has ended again and waits until the mesh is whole; answers with the time from when it runs to
/// its first answer.
pub(super) async fn come_back(mesh: &mut Mesh, traffic: &Traffic, name: &str) -> Result<Duration, Error> {
    let host = mesh.node(name)?.container.short_id().to_owned();
    mesh.start_again(name).await?;
    let runs = traffic.now().saturating_sub(mesh.last_start().elapsed());
    let expected = format!("{name} ({host}) answers again after its return");
    let took = answers_since(traffic, &host, runs, &expected).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    Ok(took)
}
