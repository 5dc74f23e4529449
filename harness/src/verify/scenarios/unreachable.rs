//! An instance that one member cannot reach any more is passed over there, at once and without a failed request.

use std::time::Duration;

use super::faulty::flows;
use crate::cluster::mesh::{Cut, Mesh};
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::{Fault, Outcome, Record, Traffic};
use crate::wait;

/// Who cannot reach the instance.
const ASKED: &str = "frontend";
/// The instance.
const UNREACHABLE: &str = "service-a2";
/// Its service.
const SERVICE: &str = "a";
/// Time that the cut may take to be known, and the views to agree when it is healed.
const LIMIT: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(25);

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let traffic = stage.traffic(&mesh)?;
    flows(&traffic).await?;
    stage.say(format!("cuts {ASKED} from {UNREACHABLE}"));
    let fault = cut(&mut mesh, &traffic).await;
    let known = match &fault {
        Ok(_) => is_known(&mesh).await,
        Err(_) => Ok(()),
    };
    // Whatever became of it, no cut is left behind.
    stage.say("heals the cut");
    mesh.heal().await?;
    let fault = fault?;
    known?;
    mesh.agreed(LIMIT).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    flows(&traffic).await?;
    judge(&traffic.finish().await, fault)
}

/// A request that is sent until the cut is done may be under way on the instance.
async fn cut(mesh: &mut Mesh, traffic: &Traffic) -> Result<Fault, Error> {
    let at = traffic.now();
    mesh.cut(&Cut::pair(ASKED, UNREACHABLE)).await?;
    let until = traffic.now();
    Ok(Fault { at, until })
}

/// Waits until who is asked calls the instance's node down; until then it must be passed over each time anew.
async fn is_known(mesh: &Mesh) -> Result<(), Error> {
    let host = mesh.node(UNREACHABLE)?.container.short_id().to_owned();
    let attempt = async || {
        let seen = mesh.look().await;
        let asked = seen.iter().find(|who| who.name == ASKED);
        let view = asked.and_then(|who| who.view.as_ref().ok());
        let up = |view: &crate::cluster::mesh_view::View| {
            let mut nodes = view.nodes.iter();
            nodes.any(|node| node.node_name == host && node.health == "UP")
        };
        match view.map(up) {
            Some(false) => Ok(()),
            Some(true) => Err(vec![format!("{ASKED} calls {UNREACHABLE} UP")]),
            None => Err(vec![format!("{ASKED} says nothing")]),
        }
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| {
        Error::unmet(
            format!("{ASKED} notices that it cannot reach {UNREACHABLE}"),
            expired.to_string(),
        )
    })
}

/// Only what was under way on the instance when it was cut off may fail.
fn judge(record: &Record, fault: Fault) -> Result<(), Error> {
    let excused = |outcome: &Outcome| {
        let route = record.routes().get(outcome.route);
        let through = route.is_some_and(|route| route.member == ASKED && route.service == SERVICE);
        through && fault.explains(outcome)
    };
    let failures: Vec<&Outcome> = record.failures().filter(|outcome| !excused(outcome)).collect();
    check(
        failures.is_empty() && record.sent() > 0,
        format!("no request fails but those that were under way from {ASKED} to {UNREACHABLE}"),
        format!("{} did\n{}", failures.len(), record.lines(&failures).join("\n")),
    )
}
