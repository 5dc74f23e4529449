//! Weights are exact, and answers of the instances are interleaved.

use std::net::SocketAddr;

use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::error::{Error, check};
use crate::verify::checks::hosts_of;
use crate::verify::suite::{Context, Requirements, Scenario};

const WEIGHTS: [(&str, usize); 2] = [("service-a", 15), ("service-a2", 10)];
/// The longest run of one instance in smooth weighted round robin at 15:10.
const LONGEST_RUN: usize = 2;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "weights",
    about: "instances of weight 15 and 10 get exactly 15 and 10 of 25 requests, interleaved",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let weights = [("service-a", 15), ("service-a2", 10)];
    let mesh = ctx
        .own_mesh("weights", |topology| topology.with_weights(&weights))
        .await?;
    for route in mesh.routes()?.iter().filter(|(route, _)| route.service == "a") {
        exact(&mesh, route).await?;
    }
    Ok(())
}

async fn exact(mesh: &Mesh, route: &(Route, SocketAddr)) -> Result<(), Error> {
    let total = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let hosts = hosts_of(mesh, route, total).await?;
    for (name, weight) in WEIGHTS {
        let host = mesh.node(name)?.container.short_id();
        let answers = hosts.iter().filter(|answered| *answered == host).count();
        let expected = format!(
            "{}: {weight} of {total} answers from {name} ({host})",
            route.0.name()
        );
        check(
            answers == weight,
            expected,
            format!("{answers}: {}", hosts.join(" ")),
        )?;
    }
    let longest = hosts
        .chunk_by(|a, b| a == b)
        .map(<[String]>::len)
        .max()
        .unwrap_or_default();
    let expected = format!(
        "{}: at most {LONGEST_RUN} answers in a row from one instance",
        route.0.name()
    );
    check(
        longest <= LONGEST_RUN,
        expected,
        format!("{longest}: {}", hosts.join(" ")),
    )
}
