//! The commands for a Compose project of the user's (`-f`). Each has a file.

mod down;
mod eject;
mod inject;
mod logs;
mod scale;
mod status;
mod up;

use std::collections::BTreeSet;
use std::time::Duration;

use harness::engine::{Docker, Engine, EngineChoice, Inspected};
use harness::error::Error;
use harness::project::compose_program::{ComposeProgram, Generation};
use harness::project::facts;
use harness::project::folder::State;
use harness::project::moved::Moved;
use harness::project::open::{Project, Selection};
use harness::project::plan::Plan;

use super::file_args::FileArgs;
use super::mesh_args::MeshArgs;

pub(super) use down::run as down;
pub(super) use eject::{EjectArgs, run as eject};
pub(super) use inject::{InjectArgs, run as inject};
pub(super) use logs::run as logs;
pub(super) use scale::run as scale;
pub(super) use status::run as status;
pub(super) use up::{Wanted, run as up};

/// Time for a waypoint to end by itself.
const GRACE: Duration = Duration::from_secs(15);

/// A project, what the engine knows of it, and what is added to it.
struct Planned {
    project: Project,
    state: State,
    plan: Plan,
}

/// Opens the project with Compose, at this engine's address.
async fn open(files: FileArgs, mesh: MeshArgs, engine: Option<&Docker>) -> Result<Project, Error> {
    if mesh
        .engine
        .runtime
        .is_some_and(|runtime| runtime != EngineChoice::Docker)
    {
        return Err(Error::environment(
            "--runtime: the containers of a Compose project run on Docker",
            "remove --runtime",
        ));
    }
    let Some(files) = files.project()? else {
        return Err(Error::environment(
            "no Compose file is given, and there is none here",
            "give one with -f FILE",
        ));
    };
    let mut compose = ComposeProgram::find().await?;
    compose.variables = engine.map(Docker::variables).unwrap_or_default();
    let selection = Selection {
        files: files.files,
        exact: files.exact,
        project: mesh.project,
        env_files: files.env_files,
        profiles: files.profiles,
    };
    Project::open(compose, selection).await
}

/// Plans what is added to the project in this state.
async fn plan(
    project: Project,
    state: State,
    engine: Option<&Docker>,
    containers: &[Inspected],
) -> Result<Planned, Error> {
    let facts = facts::facts(&project, &state, engine, containers).await?;
    let plan = Plan::new(&project.name, &project.config, &facts).map_err(|reason| {
        Error::environment(
            reason,
            "change the project's file, or leave the service out (label mesh.waypoint: none)",
        )
    })?;
    let replaced = plan
        .waypoints
        .values()
        .find(|waypoint| waypoint.moved != Moved::default());
    if let Some(waypoint) = replaced.filter(|_| !project.compose.replaces()) {
        return Err(Error::environment(
            format!(
                "{}: taking ports or labels from a service needs Compose 2.24.4, this is {}",
                waypoint.service,
                project.compose.described()
            ),
            "update Compose, or leave out mesh.publish and mesh.move-labels",
        ));
    }
    Ok(Planned { project, state, plan })
}

/// The command line that runs a Compose command on the project with what is added, to copy.
fn compose_line(project: &Project, command: &str) -> String {
    let words = project.compose.words().map(str::to_owned);
    let words = words
        .chain(project.arguments())
        .map(|word| harness::invocation::quoted(&word));
    let mut words: Vec<String> = words.collect();
    words.push(command.to_owned());
    words.join(" ")
}

/// What the plan leaves out, balances by request or warns of, a line each.
fn notes(plan: &Plan) -> Vec<String> {
    let left_out = plan
        .left_out
        .iter()
        .map(|(service, reason)| format!("{service} gets no waypoint: {reason}."));
    let unknown = plan.unknown.iter().map(|service| {
        format!("{service} gets a waypoint when its ports are known: nothing declares them, so `up` looks at it first.")
    });
    let warnings = plan.warnings.iter().map(|warning| format!("Warning: {warning}."));
    let ports = plan.waypoints.iter().flat_map(|(service, waypoint)| {
        let of = waypoint.protocols.iter();
        of.map(move |(port, protocol)| format!("{service}:{port}/{protocol}"))
    });
    let ports: Vec<String> = ports.collect();
    let of_http = (!ports.is_empty()).then(|| {
        format!(
            "Requests are balanced on {}, connections on all other ports.",
            ports.join(", ")
        )
    });
    left_out.chain(unknown).chain(of_http).chain(warnings).collect()
}

/// Containers of other projects on the networks of services that this project shares, a line each. Their names for the
/// services lead past the waypoints.
async fn foreign_callers(
    project: &Project,
    plan: &Plan,
    engine: &Docker,
    own: &[Inspected],
) -> Result<Vec<String>, Error> {
    let shared: BTreeSet<&String> = plan
        .waypoints
        .values()
        .filter(|waypoint| waypoint.alias.is_some())
        .flat_map(|waypoint| waypoint.networks.keys())
        .filter(|key| {
            project
                .config
                .networks
                .get(*key)
                .is_some_and(|network| network.external)
        })
        .collect();
    let mut lines = Vec::new();
    for key in shared {
        let name = project.network_name(key);
        let Some(network) = engine.inspect_network(&name).await? else {
            continue;
        };
        let others = network
            .containers
            .into_keys()
            .filter(|other| own.iter().all(|own| own.name != *other));
        let others: Vec<String> = others.collect();
        if !others.is_empty() {
            lines.push(format!(
                "on {name}, {} of other projects call past the waypoints",
                others.join(", ")
            ));
        }
    }
    Ok(lines)
}

/// Where the generated files of this Compose are, as a note.
fn which(project: &Project) -> String {
    let alone = match project.compose.generation {
        Generation::V2 => "beside the project's own files",
        Generation::V1 => "alone, because it contains the project",
    };
    format!(
        "{} is used. `up` writes the file, which Compose's own commands take {alone}:\n  {}",
        project.compose.described(),
        compose_line(project, "COMMAND")
    )
}

/// Stops and removes a waypoint.
async fn remove(engine: &Docker, container: &Inspected) -> Result<(), Error> {
    let engine = Engine::Docker(engine.clone());
    if container.running() {
        // An error is told by the removal.
        let _ = engine.stop(&container.id, GRACE).await;
    }
    Ok(engine.remove(&container.id).await?)
}
