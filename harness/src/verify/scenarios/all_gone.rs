//! Requests to a service without instances fail at once with a reason; other services are not affected.

use crate::cluster::mesh::Mesh;
use crate::error::Error;
use crate::verify::checks::{alternates, is_refused, no_request_failed, ready};
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Pace};

/// All instances of service a.
const GONE: [&str; 2] = ["service-a", "service-a2"];
/// What a sidecar logs about a service that nobody offers for a while.
const UNOFFERED: &str = "no my-service-a in zone";
/// Requests on each path while service a has no instance.
const REQUESTS: usize = 5;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "all_gone",
    about: "requests to a service without instances fail at once with the reason, and the other service is unaffected",
    requires: Requirements::NOTHING,
    allows: &[UNOFFERED],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let mut others = mesh.routes()?;
    others.retain(|(route, _)| route.service != "a");
    let traffic = ctx.traffic_on(&others, &Clients::ALL, Pace::default());
    for name in GONE {
        ctx.say(format!("stops {name}"));
        mesh.stop(name).await?;
    }
    ready(&mesh).await?;
    all_refused(&mesh).await?;

    for name in GONE {
        ctx.say(format!("starts {name} again"));
        mesh.start_again(name).await?;
    }
    ready(&mesh).await?;
    for route in mesh.routes()? {
        if route.0.service == "a" {
            alternates(&mesh, &route).await?;
        }
    }
    no_request_failed(&traffic.finish().await)
}

/// Checks repeatedly that every path to service a refuses the request.
async fn all_refused(mesh: &Mesh) -> Result<(), Error> {
    for route in mesh.routes()?.iter().filter(|(route, _)| route.service == "a") {
        for _ in 0..REQUESTS {
            let expected = format!(
                "{}: without an instance the request fails within a second, with a reason",
                route.0.name()
            );
            is_refused(route)
                .await
                .map_err(|instead| Error::unmet(expected, instead))?;
        }
    }
    Ok(())
}
