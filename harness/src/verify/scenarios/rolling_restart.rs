//! Every service container is restarted, one after the other, and no request fails.

use super::graceful_stop::no_request_failed;
use super::scale::answered;
use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::Traffic;

/// What stands in for service b's only instance while that is away, and the instance.
const STAND_IN: &str = "service-b2";
const ALONE: &str = "service-b";

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let restarted: Vec<String> = mesh
        .nodes()
        .iter()
        .filter(|node| node.member.role.service().is_some())
        .map(|node| node.member.name().to_owned())
        .collect();
    check(
        restarted == ["service-a", "service-a2", ALONE],
        "two instances of service a and one of b to restart",
        restarted.join(" "),
    )?;
    let traffic = stage.traffic(&mesh)?;
    let result = roll(stage, &mut mesh, &traffic, &restarted).await;
    let record = traffic.finish().await;
    result?;
    stage.measure(Promise::FailedOnRollingRestart, record.failed());
    no_request_failed(&record)
}

async fn roll(stage: &Stage, mesh: &mut Mesh, traffic: &Traffic, restarted: &[String]) -> Result<(), Error> {
    stage.say(format!("adds {STAND_IN}"));
    let stand_in = mesh.another(ALONE, STAND_IN)?;
    mesh.add(stand_in).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    for name in restarted {
        stage.say(format!("restarts {name}"));
        ended_well(name, mesh.stop(name).await?.0)?;
        let since = traffic.now();
        mesh.start_again(name).await?;
        mesh.ready(READY_LIMIT, &Progress::silent()).await?;
        answered(traffic, mesh.node(name)?.container.short_id(), since).await?;
    }
    stage.say(format!("removes {STAND_IN}"));
    ended_well(STAND_IN, mesh.remove(STAND_IN).await?.0)?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await.map(drop)
}

fn ended_well(name: &str, code: i64) -> Result<(), Error> {
    check(
        code == 0,
        format!("{name} ends with exit code 0"),
        code.to_string(),
    )
}
