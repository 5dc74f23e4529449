//! Starts a project with Compose, in an order in which no changed waypoint recreates its callers and no port is taken twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::console::Progress;
use harness::engine::{Docker, Engine, Inspected, label};
use harness::error::Error;
use harness::project::folder::State;
use harness::project::open::Project;
use harness::project::plan::Plan;
use harness::project::waypoints::{waypoints, without_namespace};

use super::super::compose_line;

/// Polling interval for waypoints to run.
const PERIOD: Duration = Duration::from_millis(200);
/// Restarts of a waypoint after which it is not waited for.
const RESTARTS: i64 = 3;

/// `--scale` for each number that the user set, of services that are there.
pub(super) fn scales(state: &State, project: &Project) -> Vec<String> {
    let known = state
        .scale
        .iter()
        .filter(|(service, _)| project.config.services.contains_key(*service));
    known
        .flat_map(|(service, count)| ["--scale".to_owned(), format!("{service}={count}")])
        .collect()
}

/// Starts the waypoints alone, so that a changed one does not recreate its consumers, then everything else. A service
/// gives its host ports away before its waypoint takes them.
pub(super) async fn start(
    project: &Project,
    plan: &Plan,
    state: &State,
    containers: &[Inspected],
    progress: &Progress,
) -> Result<(), Error> {
    let taking: Vec<&str> = plan
        .waypoints
        .values()
        .filter(|waypoint| !waypoint.moved.ports.is_empty())
        .map(|waypoint| waypoint.service.as_str())
        .collect();
    let publishes = |service: &&&str| {
        let mut own = containers
            .iter()
            .filter(|container| container.label(label::SERVICE) == **service);
        own.any(|container| container.running() && container.publishes)
    };
    let giving: Vec<&str> = taking.iter().filter(publishes).copied().collect();
    let names = |after: bool| {
        let of = plan
            .waypoints
            .values()
            .filter(|waypoint| giving.contains(&waypoint.service.as_str()) == after);
        of.map(|waypoint| waypoint.name.clone()).collect::<Vec<_>>()
    };
    let (first, last) = (names(false), names(true));
    let scales = scales(state, project);
    let up = async |flags: &[String], services: &[String]| {
        let mut arguments = project.arguments();
        arguments.extend(["up", "-d"].map(str::to_owned));
        arguments.extend_from_slice(flags);
        arguments.extend_from_slice(services);
        project.compose.run(&arguments).await
    };
    let alone = ["--no-deps".to_owned()];
    if !plan.waypoints.is_empty() {
        let all: Vec<&str> = plan
            .waypoints
            .values()
            .map(|waypoint| waypoint.name.as_str())
            .collect();
        progress.say(&format!("Waypoints: {}.", all.join(", ")));
    }
    if !first.is_empty() {
        up(&alone, &first).await?;
    }
    if !last.is_empty() {
        let giving: Vec<String> = giving.iter().map(|service| (*service).to_owned()).collect();
        progress.say(&format!(
            "Host ports move to the waypoints of {}.",
            giving.join(", ")
        ));
        let flags = [&alone[..], &scales].concat();
        up(&flags, &giving).await?;
        up(&alone, &last).await?;
    }
    up(&scales, &[]).await
}

/// Recreates containers in the network namespace of one that was recreated, which 1.29 leaves as they are.
pub(super) async fn rejoin(project: &Project, engine: &Docker) -> Result<(), Error> {
    let containers = engine.project(&project.name).await?;
    let services = without_namespace(&containers).into_iter();
    let services: BTreeSet<&str> = services
        .map(|container| container.label(label::SERVICE))
        .filter(|service| project.config.namespace_owner(service).is_some())
        .collect();
    if services.is_empty() {
        return Ok(());
    }
    let mut arguments = project.arguments();
    arguments.extend(["up", "-d", "--no-deps", "--force-recreate"].map(str::to_owned));
    arguments.extend(services.into_iter().map(str::to_owned));
    project.compose.run(&arguments).await
}

/// Waits until all waypoints run.
pub(super) async fn ready(
    project: &Project,
    engine: &Docker,
    timeout: Duration,
    progress: &Progress,
) -> Result<Vec<Inspected>, Error> {
    progress.stage("waypoints");
    let deadline = Instant::now() + timeout;
    loop {
        let containers = engine.project(&project.name).await?;
        let down: Vec<&Inspected> = waypoints(&containers)
            .filter(|container| !container.running())
            .collect();
        let Some(first) = down.first() else {
            progress.done(&format!("{} run", waypoints(&containers).count()));
            return Ok(containers);
        };
        if Instant::now() >= deadline || first.restarts >= RESTARTS {
            progress.failed();
            let lines = Engine::Docker(engine.clone()).last_lines(&first.id, 5).await;
            let what = format!(
                "the waypoint {} is {}:\n{}",
                first.name,
                first.state,
                lines.join("\n")
            );
            let again = compose_line(project, "logs");
            return Err(Error::environment(
                what,
                format!("see `{again}`; `eject` takes the waypoints out again"),
            ));
        }
        tokio::time::sleep(PERIOD).await;
    }
}
