//! No request fails while an instance is added and removed under traffic, and it gets its share, although clients keep their
//! connections.

use std::time::Duration;

use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::verify::checks::{
    alternates, ended_cleanly, no_request_failed, ready, time_to_answer, time_to_equal_shares, traffic_flows,
};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Traffic};

/// The instance that is added and removed.
const ADDED: &str = "service-a3";
/// The member whose description it copies.
const TEMPLATE: &str = "service-a";
/// The service of both.
const SERVICE: &str = "a";

pub(super) static SCENARIO: Scenario = Scenario {
    name: "scale",
    about: "no request fails while an instance is added and removed under constant traffic, and it gets its share",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;

    let traffic = ctx.traffic(&mesh, &Clients::ALL)?;
    ctx.say(format!("adds {ADDED}"));
    let joined = join(&mut mesh, &traffic).await;
    let reconnected = traffic.reconnected();
    let up = traffic.finish().await;
    let (started, took) = joined?;
    ctx.measure(Objective::Join, took);
    no_request_failed(&up)?;
    check(
        reconnected.is_empty(),
        "no client connects again because of a new instance",
        reconnected.join(", "),
    )?;
    ctx.measure(
        Objective::Share,
        time_to_equal_shares(&mesh, &up, SERVICE, started)?.max(took),
    );
    ready(&mesh).await?;

    // Alternation is observable only without other traffic.
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }

    let traffic = ctx.traffic(&mesh, &Clients::ALL)?;
    ctx.say(format!("removes {ADDED}"));
    let left = leave(&mut mesh, &traffic).await;
    let down = traffic.finish().await;
    left?;
    ctx.measure(Objective::FailedOnScale, up.failed() + down.failed());
    no_request_failed(&down)
}

/// Adds the instance. Returns when it was started, on the traffic's clock, and the time from then to its first answer. Nothing
/// but the traffic sends requests until then, so that their shares can be told.
async fn join(mesh: &mut Mesh, traffic: &Traffic) -> Result<(Duration, Duration), Error> {
    let member = mesh.another(TEMPLATE, ADDED)?;
    mesh.add(member).await?;
    let started = traffic.now().saturating_sub(mesh.last_start().elapsed());
    let host = mesh.node(ADDED)?.container.short_id().to_owned();
    let expected = format!("{ADDED} ({host}) answers after its start");
    let took = time_to_answer(traffic, &host, started, &expected).await?;
    traffic_flows(traffic).await?;
    Ok((started, took))
}

/// Removes the instance after it has answered at least one request.
async fn leave(mesh: &mut Mesh, traffic: &Traffic) -> Result<(), Error> {
    let host = mesh.node(ADDED)?.container.short_id().to_owned();
    let expected = format!("{ADDED} ({host}) answers before it is removed");
    time_to_answer(traffic, &host, Duration::ZERO, &expected).await?;
    ended_cleanly(ADDED, mesh.remove(ADDED).await?)?;
    let removed = traffic.now();
    ready(mesh).await?;
    traffic.read(|record| {
        let hosts = record.hosts(removed);
        let expected = format!("no answer from {host} after its removal");
        check(!hosts.contains_key(host.as_str()), expected, format!("{hosts:?}"))
    })
}
