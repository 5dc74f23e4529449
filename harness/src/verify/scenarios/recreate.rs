//! A container that is recreated under its old name replaces the old node completely.

use std::time::Duration;

use crate::error::{Error, check};
use crate::verify::checks::{alternates, kill, only_requests_in_flight_failed, ready, traffic_flows};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Pace};

/// The instance whose container is recreated.
const RECREATED: &str = "service-a";
/// Limit from the new container's start until all sidecars have replaced the old node by the new one.
const REPLACE_LIMIT: Duration = Duration::from_secs(3);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "recreate",
    about: "a container recreated under its old name gets its share, and the old node is forgotten",
    requires: Requirements::NOTHING,
    allows: &["discovery: lost"],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let old = mesh.node(RECREATED)?.container.short_id().to_owned();
    let traffic = ctx.traffic_on(&mesh.routes()?, &[Clients::New], Pace::DENSE);
    let fault = kill(ctx, &mut mesh, &traffic, RECREATED).await?;
    ctx.say(format!("recreates {RECREATED}"));
    mesh.recreate(RECREATED).await?;
    let took = ready(&mesh).await?;
    let new = mesh.node(RECREATED)?.container.short_id().to_owned();
    check(
        old != new,
        format!("a new container named {RECREATED}"),
        format!("the old one, {new}"),
    )?;
    check(
        took <= REPLACE_LIMIT,
        format!("within {REPLACE_LIMIT:?} every sidecar knows {new} and none uses {old}"),
        format!("after {took:.1?}"),
    )?;
    traffic_flows(&traffic).await?;
    let record = traffic.finish().await;
    only_requests_in_flight_failed(ctx, &record, "a", fault, Objective::KillToLastError)?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}
