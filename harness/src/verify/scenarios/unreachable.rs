//! A member that cannot reach an instance skips it at once, without a failed request.

use std::time::Duration;

use crate::cluster::mesh::{Cut, Mesh};
use crate::error::{Error, check};
use crate::verify::checks::{ready, traffic_flows};
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, FaultWindow, RequestOutcome, Traffic, TrafficRecord};
use crate::wait;

/// The member that is cut off from the instance.
const MEMBER: &str = "frontend";
/// The instance that it cannot reach.
const UNREACHABLE: &str = "service-a2";
/// The instance's service.
const SERVICE: &str = "a";
/// Limit for the member to detect the cut, and for the views to converge after it.
const LIMIT: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(25);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "unreachable",
    about: "an instance that one member cannot reach is skipped there, and no request fails",
    requires: Requirements::DOCKER,
    allows: &["discovery: lost"],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let traffic = ctx.traffic(&mesh, &[Clients::New])?;
    traffic_flows(&traffic).await?;
    ctx.say(format!("cuts {MEMBER} from {UNREACHABLE}"));
    let fault = cut(&mut mesh, &traffic).await;
    let detected = match &fault {
        Ok(_) => is_detected(&mesh).await,
        Err(_) => Ok(()),
    };
    // Heals the cut even if the check failed.
    ctx.say("heals the cut");
    mesh.heal().await?;
    let fault = fault?;
    detected?;
    mesh.converged(LIMIT).await?;
    ready(&mesh).await?;
    traffic_flows(&traffic).await?;
    check_failures(&traffic.finish().await, fault)
}

/// Cuts the member off. Returns the window in which requests may have been in flight on the instance.
async fn cut(mesh: &mut Mesh, traffic: &Traffic) -> Result<FaultWindow, Error> {
    let from = traffic.now();
    mesh.cut(&Cut::pair(MEMBER, UNREACHABLE)).await?;
    let until = traffic.now();
    Ok(FaultWindow { from, until })
}

/// Waits until the member's view reports the instance's node as down. Until then its balancer must skip the instance
/// for every request.
async fn is_detected(mesh: &Mesh) -> Result<(), Error> {
    let host = mesh.node(UNREACHABLE)?.container.short_id().to_owned();
    let attempt = async || {
        let seen = mesh.views().await;
        let member = seen.iter().find(|who| who.name == MEMBER);
        let view = member.and_then(|who| who.view.as_ref().ok());
        let up = |view: &crate::cluster::mesh_view::View| {
            let mut nodes = view.nodes.iter();
            nodes.any(|node| node.node_name == host && node.health == "UP")
        };
        match view.map(up) {
            Some(false) => Ok(()),
            Some(true) => Err(vec![format!("{MEMBER} reports {UNREACHABLE} as UP")]),
            None => Err(vec![format!("{MEMBER} does not answer")]),
        }
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| {
        Error::unmet(
            format!("{MEMBER} detects that it cannot reach {UNREACHABLE}"),
            expired.to_string(),
        )
    })
}

/// Checks that only requests in flight on the instance during the cut failed.
fn check_failures(record: &TrafficRecord, fault: FaultWindow) -> Result<(), Error> {
    let excused = |outcome: &RequestOutcome| {
        let route = record.lane_of(outcome).map(|lane| &lane.route);
        let through = route.is_some_and(|route| route.member == MEMBER && route.service == SERVICE);
        through && fault.covers(outcome)
    };
    let failures: Vec<&RequestOutcome> = record.failures().filter(|outcome| !excused(outcome)).collect();
    check(
        failures.is_empty() && record.sent() > 0,
        format!("no request fails except those in flight from {MEMBER} to {UNREACHABLE}"),
        format!(
            "{} other requests failed\n{}",
            failures.len(),
            record.lines(&failures).join("\n")
        ),
    )
}
