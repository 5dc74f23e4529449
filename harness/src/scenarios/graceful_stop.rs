//! A graceful stop costs no request.

use std::time::Duration;

use super::{READY_LIMIT, Stage};
use crate::error::{Error, check};
use crate::load::{Load, Record};
use crate::mesh::Mesh;
use crate::report::Progress;

/// Clients on each path.
pub(super) const CLIENTS: usize = 3;
/// Time between two requests of a client.
pub(super) const PERIOD: Duration = Duration::from_millis(10);
/// The instance that is stopped.
pub(super) const STOPPED: &str = "service-a2";

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mesh = stage.mesh().await?;
    let load = Load::start(&mesh.routes()?, CLIENTS, PERIOD);
    let result = stop(mesh, &load).await;
    let record = load.finish().await;
    let sent = record.outcomes.len();
    mesh.start_again(STOPPED).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    stage.figures.failed_on_stop(record.failed(), sent);
    result?;
    no_request_failed(&record)
}

async fn stop(mesh: &mut Mesh, load: &Load) -> Result<(), Error> {
    let host = mesh.node(STOPPED)?.container.short_id().to_owned();
    let before = format!("{STOPPED} ({host}) takes part in the traffic before it is stopped");
    answers_from(load, &host, &before).await?;
    let grace = mesh.node(STOPPED)?.member.service.stop_grace_period;
    let (code, took) = mesh.stop(STOPPED).await?;
    check(
        code == 0,
        format!("{STOPPED} ends with exit code 0"),
        format!("{code}, after {took:.1?}"),
    )?;
    check(
        took < grace,
        format!("{STOPPED} ends by itself within {grace:?}"),
        format!("{took:.1?}"),
    )?;
    let stopped_at = load.now();
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    let hosts = load.so_far();
    let hosts = hosts.hosts(stopped_at);
    check(
        !hosts.contains_key(host.as_str()),
        format!("no answer from {host} after its end"),
        format!("{hosts:?}"),
    )
}

/// Waits until `host` has answered.
pub(super) async fn answers_from(load: &Load, host: &str, expected: &str) -> Result<Duration, Error> {
    let since = load.now();
    let attempt = async || {
        let record = load.so_far();
        record
            .first_answer(host, since)
            .ok_or_else(|| vec![record.summary()])
    };
    let limit = Duration::from_secs(10);
    match crate::wait::until(limit, Duration::from_millis(20), attempt, |_| {}).await {
        Ok(at) => Ok(at.saturating_sub(since)),
        Err(expired) => check(false, expected, expired.to_string()).map(|()| limit),
    }
}

/// Every request of `record` was answered, and there were some.
pub(super) fn no_request_failed(record: &Record) -> Result<(), Error> {
    let held = record.failed() == 0 && !record.outcomes.is_empty();
    check(
        held,
        "constant traffic on every path, no failed request",
        record.summary(),
    )
}
