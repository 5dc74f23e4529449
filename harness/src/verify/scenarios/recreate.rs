//! A container that is killed, removed and made anew under its old name leaves no trace of the old one.

use std::time::Duration;

use super::alternation::alternates;
use super::faulty::{flows, judge};
use super::kill::kill;
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::Pace;

/// The instance whose container is made anew.
const RENEWED: &str = "service-a";
/// Time from the new container's start within which all sidecars know it and none counts on the old one.
const GHOST_LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let old = mesh.node(RENEWED)?.container.short_id().to_owned();
    let traffic = stage.traffic_on(&mesh.routes()?, Pace::DENSE);
    let fault = kill(stage, &mut mesh, &traffic, RENEWED).await?;
    stage.say(format!("makes {RENEWED} anew"));
    mesh.recreate(RENEWED).await?;
    let took = mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    let new = mesh.node(RENEWED)?.container.short_id().to_owned();
    check(
        old != new,
        format!("another container of the name {RENEWED}"),
        format!("{new} again"),
    )?;
    check(
        took <= GHOST_LIMIT,
        format!("within {GHOST_LIMIT:?} every sidecar knows {new} and none counts on {old}"),
        format!("after {took:.1?}"),
    )?;
    flows(&traffic).await?;
    let record = traffic.finish().await;
    judge(stage, &record, "a", fault, Promise::KillToLastError)?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}
