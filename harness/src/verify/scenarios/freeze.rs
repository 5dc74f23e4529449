//! Only requests in flight on a frozen instance fail, and those sent to it before its failure is detected.

use std::time::Duration;

use crate::error::Error;
use crate::verify::checks::{
    no_request_failed, only_requests_in_flight_failed, ready, time_to_answer, traffic_flows,
};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, FaultWindow, Pace};

/// The instance that is frozen.
const FROZEN: &str = "service-a2";
/// Limit for all other members to detect the failure.
const DETECTION_LIMIT: Duration = Duration::from_secs(10);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "freeze",
    about: "only the requests sent to a frozen instance before its failure is detected fail",
    requires: Requirements::NOTHING,
    allows: &["discovery: lost"],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let host = mesh.node(FROZEN)?.container.short_id().to_owned();

    let traffic = ctx.traffic_on(&mesh.routes()?, &Clients::ALL, Pace::DENSE);
    let before = format!("{FROZEN} ({host}) answers before it is frozen");
    time_to_answer(&traffic, &host, traffic.now(), &before).await?;
    ctx.say(format!("freezes {FROZEN} ({host})"));
    let from = traffic.now();
    mesh.pause(FROZEN).await?;
    mesh.converged(DETECTION_LIMIT).await?;
    let until = traffic.now();
    traffic_flows(&traffic).await?;
    // Requests in flight on the frozen instance fail here.
    let record = traffic.finish().await;
    only_requests_in_flight_failed(
        ctx,
        &record,
        "a",
        FaultWindow { from, until },
        Objective::FreezeToLastError,
    )?;

    let traffic = ctx.traffic(&mesh, &Clients::ALL)?;
    ctx.say(format!("unfreezes {FROZEN}"));
    mesh.unpause(FROZEN).await?;
    ready(&mesh).await?;
    let after = format!("{FROZEN} ({host}) answers after it is unfrozen");
    time_to_answer(&traffic, &host, traffic.now(), &after).await?;
    traffic_flows(&traffic).await?;
    no_request_failed(&traffic.finish().await)
}
