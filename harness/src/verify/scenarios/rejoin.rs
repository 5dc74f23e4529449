//! A stopped instance rejoins under traffic: no request fails, and it gets its share again.

use crate::error::Error;
use crate::verify::checks::{alternates, no_request_failed, restart};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::Clients;

/// The instance that is stopped and started again.
const STOPPED: &str = "service-a2";

pub(super) static SCENARIO: Scenario = Scenario {
    name: "rejoin",
    about: "no request fails while a stopped instance rejoins under constant traffic, and it gets its share",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    mesh.stop(STOPPED).await?;
    let traffic = ctx.traffic(&mesh, &Clients::ALL)?;
    let result = restart(&mut mesh, &traffic, STOPPED).await;
    let record = traffic.finish().await;
    ctx.measure(Objective::Rejoin, result?);
    no_request_failed(&record)?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}
