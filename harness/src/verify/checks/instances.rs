//! Waiting for the mesh, and killing or restarting an instance under traffic.

use std::time::Duration;

use super::time_to_answer;
use crate::cluster::mesh::Mesh;
use crate::console::Progress;
use crate::error::{Error, check};
use crate::verify::suite::{Context, READY_LIMIT};
use crate::verify::traffic::{FaultWindow, Traffic};

/// Waits until all views agree and every instance has answered on every path. Returns the time from the last start.
pub async fn ready(mesh: &Mesh) -> Result<Duration, Error> {
    mesh.ready(READY_LIMIT, &Progress::silent()).await
}

/// Kills an instance after it has answered at least one request. Returns the window in which requests may have been in
/// flight on it.
pub async fn kill(
    ctx: &Context,
    mesh: &mut Mesh,
    traffic: &Traffic,
    name: &str,
) -> Result<FaultWindow, Error> {
    let host = mesh.node(name)?.container.short_id().to_owned();
    let answers = format!("{name} ({host}) answers before it is killed");
    time_to_answer(traffic, &host, traffic.now(), &answers).await?;
    ctx.say(format!("kills {name} ({host})"));
    let from = traffic.now();
    mesh.kill(name).await?;
    let until = traffic.now();
    Ok(FaultWindow { from, until })
}

/// Starts a stopped member again and waits until the mesh is ready. Returns the time from its start to its first
/// answer.
pub async fn restart(mesh: &mut Mesh, traffic: &Traffic, name: &str) -> Result<Duration, Error> {
    let host = mesh.node(name)?.container.short_id().to_owned();
    mesh.start_again(name).await?;
    let started = traffic.now().saturating_sub(mesh.last_start().elapsed());
    let expected = format!("{name} ({host}) answers after its restart");
    let took = time_to_answer(traffic, &host, started, &expected).await?;
    ready(mesh).await?;
    Ok(took)
}

/// Checks the exit code of a gracefully stopped member.
pub fn ended_cleanly(name: &str, (code, took): (i64, Duration)) -> Result<(), Error> {
    let seen = format!("exit code {code}, after {took:.1?}");
    check(code == 0, format!("{name} ends with exit code 0"), seen)
}
