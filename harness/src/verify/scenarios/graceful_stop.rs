//! No request fails while an instance stops gracefully, and it gets no new ones, although clients keep their connections.

use std::time::Duration;

use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::verify::checks::{ended_cleanly, no_request_failed, ready, time_to_answer};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Lane, Traffic};

/// The instance that is stopped.
const STOPPED: &str = "service-a2";
/// Time from the beginning of a stop after which no request is balanced to the instance. Its program is told only after 2 s.
const WITHDRAWN: Duration = Duration::from_millis(1500);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "graceful_stop",
    about: "no request fails while an instance stops under constant traffic",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let traffic = ctx.traffic(&mesh, &Clients::ALL)?;
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
    let stopping = traffic.now();
    let (code, took) = mesh.stop(STOPPED).await?;
    ended_cleanly(STOPPED, (code, took))?;
    check(
        took < grace,
        format!("{STOPPED} ends within its grace period of {grace:?}"),
        format!("{took:.1?}"),
    )?;
    let stopped_at = traffic.now();
    traffic.read(|record| {
        let late = record.answers().rev().find(|(outcome, answer)| {
            let lane = record.lane_of(outcome);
            answer.host == host
                && outcome.at > stopping + WITHDRAWN
                && lane.is_some_and(Lane::balances_requests)
        });
        check(
            late.is_none(),
            format!("{STOPPED} ({host}) gets no request {WITHDRAWN:?} after its stop began"),
            late.map_or_else(String::new, |(outcome, _)| {
                let after = outcome.at.saturating_sub(stopping);
                format!("one on {}, {after:.1?} after", record.lane(outcome.lane))
            }),
        )
    })?;
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
