//! The only instance of a service answers on every path.

use std::collections::BTreeSet;

use crate::cluster::mesh::Mesh;
use crate::cluster::topology::ENTRY_POINTS;
use crate::error::{Error, check};
use crate::verify::checks::{hosts_of, ready};
use crate::verify::suite::{Context, Requirements, Scenario};

/// The instance of service a that is stopped; service b has only one anyway.
const STOPPED: &str = "service-a2";
/// The remaining instance of each service.
const ALONE: [(&str, &str); 2] = [("a", "service-a"), ("b", "service-b")];
/// Requests on each path.
const REQUESTS: usize = 20;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "one_instance",
    about: "the only instance of a service answers on every path",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    mesh.stop(STOPPED).await?;
    ready(&mesh).await?;
    for (service, member) in ALONE {
        answers_alone(&mesh, service, member).await?;
    }
    mesh.start_again(STOPPED).await?;
    ready(&mesh).await?;
    Ok(())
}

/// Checks that every answer on every path to `service` comes from `member`.
async fn answers_alone(mesh: &Mesh, service: &str, member: &str) -> Result<(), Error> {
    let host = mesh.node(member)?.container.short_id();
    let mut routes = mesh.routes()?;
    routes.retain(|(route, _)| route.service == service);
    check(
        routes.len() == ENTRY_POINTS.len(),
        format!("a path to service {service} from each of {ENTRY_POINTS:?}"),
        format!("{routes:?}"),
    )?;
    for route in &routes {
        let hosts = hosts_of(mesh, route, REQUESTS).await?;
        let hosts: BTreeSet<&str> = hosts.iter().map(String::as_str).collect();
        check(
            hosts == BTreeSet::from([host]),
            format!("{}: all answers from {member} ({host})", route.0.name()),
            format!("{hosts:?}"),
        )?;
    }
    Ok(())
}
