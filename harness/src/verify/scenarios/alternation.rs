//! Two instances of equal weight alternate strictly.

use crate::error::Error;
use crate::verify::checks::alternates;
use crate::verify::suite::{Context, Requirements, Scenario};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "alternation",
    about: "two equal instances alternate on every path",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mesh = ctx.mesh().await?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}
