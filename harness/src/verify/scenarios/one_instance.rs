//! A service with one instance is answered by that instance, whichever path is taken.

use std::collections::BTreeSet;

use super::alternation::ask_in_turn;
use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::suite::{READY_LIMIT, Stage};

/// The instance of service a that is left out: service b never had more than one.
const LEFT_OUT: &str = "service-a2";
/// The only instance of each service then.
const ALONE: [(&str, &str); 2] = [("a", "service-a"), ("b", "service-b")];
/// Requests on each path.
const REQUESTS: usize = 20;

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    mesh.stop(LEFT_OUT).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    for (service, member) in ALONE {
        answers_alone(&mesh, service, member).await?;
    }
    mesh.start_again(LEFT_OUT).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    Ok(())
}

/// Every answer on every path to `service` comes from `member`.
async fn answers_alone(mesh: &Mesh, service: &str, member: &str) -> Result<(), Error> {
    let host = mesh.node(member)?.container.short_id();
    let mut routes = mesh.routes()?;
    routes.retain(|(route, _)| route.service == service);
    check(
        routes.len() == 3,
        format!("three paths to service {service}"),
        format!("{routes:?}"),
    )?;
    for route in &routes {
        let hosts = ask_in_turn(mesh, route, REQUESTS).await?;
        let hosts: BTreeSet<&str> = hosts.iter().map(String::as_str).collect();
        check(
            hosts == BTreeSet::from([host]),
            format!("{}: all answers from {member} ({host})", route.0.name()),
            format!("{hosts:?}"),
        )?;
    }
    Ok(())
}
