//! No request fails while every service container is restarted, one after the other.

use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::verify::checks::{ended_cleanly, no_request_failed, ready, restart};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Traffic};

/// Replaces service b's only instance during its restart.
const REPLACEMENT: &str = "service-b2";
/// Service b's only instance.
const ONLY: &str = "service-b";

pub(super) static SCENARIO: Scenario = Scenario {
    name: "rolling_restart",
    about: "no request fails while every service container is restarted under constant traffic",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let restarted: Vec<String> = mesh
        .nodes()
        .iter()
        .filter(|node| node.member.role.service().is_some())
        .map(|node| node.member.name().to_owned())
        .collect();
    check(
        restarted == ["service-a", "service-a2", ONLY],
        "two instances of service a and one of b to restart",
        restarted.join(" "),
    )?;
    let traffic = ctx.traffic(&mesh, &Clients::ALL)?;
    let result = roll(ctx, &mut mesh, &traffic, &restarted).await;
    let record = traffic.finish().await;
    result?;
    ctx.measure(Objective::FailedOnRollingRestart, record.failed());
    no_request_failed(&record)
}

async fn roll(ctx: &Context, mesh: &mut Mesh, traffic: &Traffic, restarted: &[String]) -> Result<(), Error> {
    ctx.say(format!("adds {REPLACEMENT}"));
    let replacement = mesh.another(ONLY, REPLACEMENT)?;
    mesh.add(replacement).await?;
    ready(mesh).await?;
    for name in restarted {
        ctx.say(format!("restarts {name}"));
        ended_cleanly(name, mesh.stop(name).await?)?;
        restart(mesh, traffic, name).await?;
    }
    ctx.say(format!("removes {REPLACEMENT}"));
    ended_cleanly(REPLACEMENT, mesh.remove(REPLACEMENT).await?)?;
    ready(mesh).await.map(drop)
}
