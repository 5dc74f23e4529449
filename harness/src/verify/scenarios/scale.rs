//! Another instance of a service takes its share under constant traffic and goes again, and no request fails.

use std::time::Duration;

use super::alternation::alternates;
use super::graceful_stop::no_request_failed;
use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::Traffic;
use crate::wait;

/// The instance that comes and goes, and the one that it is like.
const ADDED: &str = "service-a3";
const LIKE: &str = "service-a";

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;

    let traffic = stage.traffic(&mesh)?;
    stage.say(format!("adds {ADDED}"));
    let joined = join(&mut mesh, &traffic).await;
    let up = traffic.finish().await;
    stage.measure(Promise::Join, joined?);

    // Strict turns show only where nobody else asks.
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }

    let traffic = stage.traffic(&mesh)?;
    stage.say(format!("removes {ADDED}"));
    let left = leave(&mut mesh, &traffic).await;
    let down = traffic.finish().await;
    left?;
    stage.measure(Promise::FailedOnScale, up.failed() + down.failed());
    no_request_failed(&up)?;
    no_request_failed(&down)
}

/// Answers with the time from the new instance's start to its first answer.
async fn join(mesh: &mut Mesh, traffic: &Traffic) -> Result<Duration, Error> {
    let before = traffic.now();
    let member = mesh.another(LIKE, ADDED)?;
    mesh.add(member).await?;
    let started = traffic.now().saturating_sub(mesh.last_start().elapsed());
    let host = mesh.node(ADDED)?.container.short_id().to_owned();
    let answered = answered(traffic, &host, before).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    Ok(answered.saturating_sub(started))
}

async fn leave(mesh: &mut Mesh, traffic: &Traffic) -> Result<(), Error> {
    let host = mesh.node(ADDED)?.container.short_id().to_owned();
    answered(traffic, &host, Duration::ZERO).await?;
    let (code, took) = mesh.remove(ADDED).await?;
    let removed = traffic.now();
    let seen = format!("{code}, after {took:.1?}");
    check(code == 0, format!("{ADDED} ends with exit code 0"), seen)?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    traffic.read(|record| {
        let hosts = record.hosts(removed);
        let expected = format!("no answer from {host} once it is removed");
        check(!hosts.contains_key(host.as_str()), expected, format!("{hosts:?}"))
    })
}

/// Waits until `host` has answered what was asked at `since` or later: when that was.
pub(super) async fn answered(traffic: &Traffic, host: &str, since: Duration) -> Result<Duration, Error> {
    let attempt = async || {
        traffic.read(|record| {
            let first = record.first_answer(host, since);
            first.ok_or_else(|| vec![record.summary()])
        })
    };
    let limit = Duration::from_secs(10);
    let waited = wait::until(limit, Duration::from_millis(20), attempt, |_| {}).await;
    waited.map_err(|expired| {
        let expected = format!("an answer from {host} within {limit:?}");
        Error::unmet(expected, expired.to_string())
    })
}
