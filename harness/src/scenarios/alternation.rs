//! Two equal instances take strict turns.

use std::net::SocketAddr;

use crate::error::{Error, check};
use crate::mesh::Mesh;
use crate::suite::Stage;
use crate::topology::Route;

/// Requests on each path, one after the other.
const REQUESTS: usize = 20;

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mesh = stage.mesh().await?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}

/// Checks that the instances behind `route` answer in turn, each once before the first answers again.
pub(super) async fn alternates(mesh: &Mesh, route: &(Route, SocketAddr)) -> Result<(), Error> {
    let hosts = ask_in_turn(mesh, route, REQUESTS).await?;
    let instances = mesh.hosts(&route.0.service);
    let all_in_turn = hosts.windows(instances.len()).all(|turn| {
        let mut turn = turn.to_vec();
        turn.sort();
        turn.dedup();
        turn.len() == instances.len()
    });
    let expected = format!(
        "{}: strict turns of {instances:?} over {REQUESTS} requests",
        route.0.name()
    );
    check(all_in_turn, expected, hosts.join(" "))
}

/// The hosts that answered `count` requests, one after the other.
pub(super) async fn ask_in_turn(
    mesh: &Mesh,
    route: &(Route, SocketAddr),
    count: usize,
) -> Result<Vec<String>, Error> {
    let mut hosts = Vec::with_capacity(count);
    for i in 1..=count {
        match mesh.ask(route).await {
            Ok(answer) => hosts.push(answer.host),
            Err(reason) => check(
                false,
                format!("{}: answer {i} of {count}", route.0.name()),
                reason,
            )?,
        }
    }
    Ok(hosts)
}
