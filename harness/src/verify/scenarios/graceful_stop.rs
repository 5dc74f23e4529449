//! No request fails while an instance stops gracefully.

use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::verify::checks::{ended_cleanly, no_request_failed, ready, time_to_answer};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::Traffic;

/// The instance that is stopped.
const STOPPED: &str = "service-a2";

pub(super) static SCENARIO: Scenario = Scenario {
    name: "graceful_stop",
    about: "no request fails while an instance stops under constant traffic",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let traffic = ctx.traffic(&mesh)?;
    let result = stop(&mut mesh, &traffic).await;
    let record = traffic.finish().await;
    mesh.start_again(STOPPED).await?;
    ready(&mesh).await?;
    result?;
    ctx.measure(Objective::FailedOnStop, record.failed());
    no_request_failed(&record)
}

async fn stop(mesh: &mut Mesh, traffic: &Traffic) -> Result<(), Error> {
    let host = mesh.node(STOPPED)?.container.short_id().to_owned();
    let before = format!("{STOPPED} ({host}) answers before it is stopped");
    time_to_answer(traffic, &host, traffic.now(), &before).await?;
    let grace = mesh.node(STOPPED)?.member.service.stop_grace_period;
    let (code, took) = mesh.stop(STOPPED).await?;
    ended_cleanly(STOPPED, (code, took))?;
    check(
        took < grace,
        format!("{STOPPED} ends within its grace period of {grace:?}"),
        format!("{took:.1?}"),
    )?;
    let stopped_at = traffic.now();
    ready(mesh).await?;
    traffic.read(|record| {
        let hosts = record.hosts(stopped_at);
        check(
            !hosts.contains_key(host.as_str()),
            format!("no answer from {host} after its stop"),
            format!("{hosts:?}"),
        )
    })
}
