//! An instance that stands still costs the requests put on it before that was noticed, and no other.

use std::time::Duration;

use super::faulty::{flows, judge};
use super::graceful_stop::{answers_from, no_request_failed};
use crate::error::Error;
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::{Fault, Pace};

/// The instance that is frozen.
const FROZEN: &str = "service-a2";
/// Time within which all others must have noticed.
const NOTICE_LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let host = mesh.node(FROZEN)?.container.short_id().to_owned();

    let traffic = stage.traffic_on(&mesh.routes()?, Pace::DENSE);
    let before = format!("{FROZEN} ({host}) takes part in the traffic before it is frozen");
    answers_from(&traffic, &host, &before).await?;
    stage.say(format!("freezes {FROZEN} ({host})"));
    let at = traffic.now();
    mesh.pause(FROZEN).await?;
    mesh.agreed(NOTICE_LIMIT).await?;
    let until = traffic.now();
    flows(&traffic).await?;
    // A request that is under way on it ends here, while it stands still.
    let record = traffic.finish().await;
    judge(
        stage,
        &record,
        "a",
        Fault { at, until },
        Promise::FreezeToLastError,
    )?;

    let traffic = stage.traffic(&mesh)?;
    stage.say(format!("lets {FROZEN} go on"));
    mesh.unpause(FROZEN).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    answers_from(
        &traffic,
        &host,
        &format!("{FROZEN} ({host}) answers after its standstill"),
    )
    .await?;
    flows(&traffic).await?;
    no_request_failed(&traffic.finish().await)
}
