//! Looks at which ports services listen: before callers are linked where nothing declares them, and at the end.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::console::Progress;
use harness::engine::Docker;
use harness::error::Error;
use harness::project::plan::Plan;
use harness::project::{generate, listening};

use super::super::{Planned, plan};
use super::start::scales;

/// Time for a service to listen that is looked at because nothing declares its ports.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// Time for the other services to listen.
const LAST_LOOK: Duration = Duration::from_secs(3);

/// Starts the services whose ports nothing declares, with what they depend on, and looks at them.
pub(super) async fn first_phase(
    planned: Planned,
    engine: &Docker,
    image: &str,
    progress: &Progress,
) -> Result<Planned, Error> {
    if planned.plan.unknown.is_empty() {
        return Ok(planned);
    }
    let Planned {
        project,
        mut state,
        plan: first,
    } = planned;
    let names: Vec<&str> = first.unknown.iter().map(String::as_str).collect();
    progress.say(&format!(
        "Nothing declares the ports of {}: started first, to look.",
        names.join(", ")
    ));
    generate::write(&project, &first, &mut state, engine, image).await?;
    let mut arguments = project.arguments();
    arguments.extend(["up", "-d", "--no-recreate"].map(str::to_owned));
    arguments.extend(scales(&state, &project));
    arguments.extend(first.unknown.iter().cloned());
    project.compose.run(&arguments).await?;
    progress.stage("looking");
    let seen = listening::look(&project, engine, image, &first.unknown, FIRST_LOOK).await?;
    for name in &first.unknown {
        // What has ended is a job, and listens on nothing.
        state.seen.tcp.entry(name.clone()).or_default();
    }
    listening::take_up(&mut state.seen, seen);
    let tcp = &state.seen.tcp;
    let found = first
        .unknown
        .iter()
        .filter(|name| tcp.get(*name).is_some_and(|ports| !ports.is_empty()));
    let found: Vec<&str> = found.map(String::as_str).collect();
    progress.done(&match found.as_slice() {
        [] => "none listens".to_owned(),
        found => format!(
            "{} listen; what calls others is recreated with its links",
            found.join(", ")
        ),
    });
    project.folder.keep(&state)?;
    let containers = engine.project(&project.name).await?;
    plan(project, state, Some(engine), &containers).await
}

/// Looks at all services, so that no port stays shut that is open and that nothing declares. Returns whether the plan has
/// changed because a waypoint has to go: its service listens on a port that is not TCP.
pub(super) async fn last_look(
    planned: &mut Planned,
    engine: &Docker,
    image: &str,
    progress: &Progress,
) -> Result<bool, Error> {
    let Planned {
        project,
        state,
        plan: before,
    } = planned;
    let services: BTreeSet<String> = project.config.services.keys().cloned().collect();
    progress.stage("ports");
    let seen = listening::look(project, engine, image, &services, LAST_LOOK).await?;
    let news = listening::take_up(&mut state.seen, seen);
    project.folder.keep(state)?;
    let containers = engine.project(&project.name).await?;
    let after = plan(project.clone(), state.clone(), Some(engine), &containers)
        .await?
        .plan;
    let only_in = |this: &Plan, other: &Plan| {
        let services = this.waypoints.keys();
        let only = services.filter(|service| !other.waypoints.contains_key(*service));
        only.cloned().collect::<Vec<_>>().join(", ")
    };
    let (unlinked, lost) = (only_in(&after, before), only_in(before, &after));
    if !lost.is_empty() {
        progress.done(&format!(
            "{lost}: a port is not TCP; the callers are recreated without that waypoint"
        ));
        *before = after;
        return Ok(true);
    }
    // Links change at the next `up` only; ports of a waypoint change in its file.
    before.take_ports(&after);
    generate::write(project, before, state, engine, image).await?;
    progress.done(&match news.len() {
        0 => "no other port is open than those known".to_owned(),
        count => format!("seen at {count} services for the first time"),
    });
    if !unlinked.is_empty() {
        progress.say(&format!(
            "{unlinked}: now known to listen; `up` again adds waypoints."
        ));
    }
    Ok(false)
}
