//! A graceful stop costs no request.

use std::time::Duration;

use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::{Record, Traffic};

/// The instance that is stopped.
pub(super) const STOPPED: &str = "service-a2";

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let traffic = stage.traffic(&mesh)?;
    let result = stop(&mut mesh, &traffic).await;
    let record = traffic.finish().await;
    mesh.start_again(STOPPED).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    result?;
    stage.measure(Promise::FailedOnStop, record.failed());
    no_request_failed(&record)
}

async fn stop(mesh: &mut Mesh, traffic: &Traffic) -> Result<(), Error> {
    let host = mesh.node(STOPPED)?.container.short_id().to_owned();
    let before = format!("{STOPPED} ({host}) takes part in the traffic before it is stopped");
    answers_from(traffic, &host, &before).await?;
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
    let stopped_at = traffic.now();
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    traffic.read(|record| {
        let hosts = record.hosts(stopped_at);
        check(
            !hosts.contains_key(host.as_str()),
            format!("no answer from {host} after its end"),
            format!("{hosts:?}"),
        )
    })
}

/// Waits until `host` has answered a request that is sent from now on; answers with how long that took.
pub(super) async fn answers_from(traffic: &Traffic, host: &str, expected: &str) -> Result<Duration, Error> {
    answers_since(traffic, host, traffic.now(), expected).await
}

/// Waits until `host` has answered a request that was sent at `since` or later; answers with the time from then to
/// its first answer.
pub(super) async fn answers_since(
    traffic: &Traffic,
    host: &str,
    since: Duration,
    expected: &str,
) -> Result<Duration, Error> {
    let attempt = async || {
        traffic.read(|record| {
            let first = record.first_answer(host, since);
            first.ok_or_else(|| vec![record.summary()])
        })
    };
    let limit = Duration::from_secs(10);
    match crate::wait::until(limit, Duration::from_millis(20), attempt, |_| {}).await {
        Ok(at) => Ok(at.saturating_sub(since)),
        Err(expired) => check(false, expected, expired.to_string()).map(|()| limit),
    }
}

/// Every request of `record` was answered, and there were some on every route.
pub(super) fn no_request_failed(record: &Record) -> Result<(), Error> {
    let silent = record.silent(Duration::ZERO);
    let held = record.failed() == 0 && record.sent() > 0 && silent.is_empty();
    check(
        held,
        "constant traffic on every path, no failed request",
        format!("{}; silent: {silent:?}", record.summary()),
    )
}
