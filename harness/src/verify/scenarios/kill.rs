//! Only requests in flight on a killed instance fail.

use crate::error::Error;
use crate::verify::checks::{kill, only_requests_in_flight_failed, ready, restart, traffic_flows};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Pace};

/// The instance that is killed.
const KILLED: &str = "service-a2";

pub(super) static SCENARIO: Scenario = Scenario {
    name: "kill",
    about: "only the requests in flight on an instance fail when it is killed under constant traffic",
    requires: Requirements::NOTHING,
    allows: &["discovery: lost"],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let traffic = ctx.traffic_on(&mesh.routes()?, &Clients::ALL, Pace::DENSE);
    let fault = kill(ctx, &mut mesh, &traffic, KILLED).await?;
    ready(&mesh).await?;
    traffic_flows(&traffic).await?;

    ctx.say(format!("starts {KILLED} again"));
    let rejoin = restart(&mut mesh, &traffic, KILLED).await?;
    ctx.measure(Objective::Rejoin, rejoin);
    traffic_flows(&traffic).await?;
    let record = traffic.finish().await;
    only_requests_in_flight_failed(ctx, &record, "a", fault, Objective::KillToLastError)
}
