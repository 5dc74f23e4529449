//! An instance that is killed costs the requests under way on it, and no other.

use super::faulty::{flows, judge};
use super::graceful_stop::answers_from;
use super::rejoin::come_back;
use crate::cluster::mesh::Mesh;
use crate::error::Error;
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::{Fault, Pace, Traffic};

/// The instance that is killed.
const KILLED: &str = "service-a2";

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let traffic = stage.traffic_on(&mesh.routes()?, Pace::DENSE);
    let fault = kill(stage, &mut mesh, &traffic, KILLED).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    flows(&traffic).await?;

    stage.say(format!("starts {KILLED} again"));
    let rejoin = come_back(&mut mesh, &traffic, KILLED).await?;
    stage.measure(Promise::Rejoin, rejoin);
    flows(&traffic).await?;
    let record = traffic.finish().await;
    judge(stage, &record, "a", fault, Promise::KillToLastError)
}

/// Kills an instance that takes part in the traffic. A request that was sent until the kill was done may have been
/// under way on it.
pub(super) async fn kill(
    stage: &Stage,
    mesh: &mut Mesh,
    traffic: &Traffic,
    name: &str,
) -> Result<Fault, Error> {
    let host = mesh.node(name)?.container.short_id().to_owned();
    let before = format!("{name} ({host}) takes part in the traffic before it is killed");
    answers_from(traffic, &host, &before).await?;
    stage.say(format!("kills {name} ({host})"));
    let at = traffic.now();
    mesh.kill(name).await?;
    let until = traffic.now();
    Ok(Fault { at, until })
}
