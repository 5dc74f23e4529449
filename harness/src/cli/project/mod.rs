//! The commands for a Compose project of the user's (`-f`). Each has a file.

mod down;
mod eject;
mod inject;
mod logs;
mod scale;
mod status;
mod up;

use std::collections::BTreeSet;

use harness::console::table;
use harness::engine::{Docker, EngineChoice, Inspected};
use harness::error::Error;
use harness::project::compose_program::{ComposeProgram, Generation};
use harness::project::facts;
use harness::project::folder::State;
use harness::project::open::{Project, Selection};
use harness::project::plan::Plan;
use harness::project::waypoints::waypoints;

use super::file_args::FileArgs;
use super::mesh_args::MeshArgs;

pub(super) use down::run as down;
pub(super) use eject::{EjectArgs, run as eject};
pub(super) use inject::{InjectArgs, run as inject};
pub(super) use logs::run as logs;
pub(super) use scale::run as scale;
pub(super) use status::run as status;
pub(super) use up::{Wanted, run as up};

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
    if !files.given()? {
        return Err(Error::environment(
            "no Compose file is given",
            "give one with -f FILE",
        ));
    }
    let mut compose = ComposeProgram::find().await?;
    compose.variables = engine.map(Docker::variables).unwrap_or_default();
    let selection = Selection {
        files: files.files,
        project: mesh.project,
        env_files: files.env_files,
        profiles: files.profiles,
    };
    Project::open(compose, selection).await
}

/// Plans what is added to the project.
async fn plan(project: Project, engine: Option<&Docker>, containers: &[Inspected]) -> Result<Planned, Error> {
    let state = project.folder.state()?;
    let facts = facts::facts(&project, &state, engine, containers).await?;
    let plan = Plan::new(&project.name, &project.config, &facts).map_err(|reason| {
        Error::environment(
            reason,
            "change the project's file, or leave the service out (label mesh.waypoint: none)",
        )
    })?;
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

/// What the plan leaves out or warns of, a line each.
fn notes(plan: &Plan) -> Vec<String> {
    let left_out = plan
        .left_out
        .iter()
        .map(|(service, reason)| format!("{service} gets no waypoint: {reason}."));
    let unknown = plan.unknown.iter().map(|service| {
        format!("{service} gets a waypoint when its ports are known: nothing declares them, so `up` looks at it first.")
    });
    let warnings = plan.warnings.iter().map(|warning| format!("Warning: {warning}."));
    left_out.chain(unknown).chain(warnings).collect()
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

/// The waypoints as a table.
fn listing(plan: &Plan, containers: &[Inspected]) -> String {
    let rows = plan.waypoints.iter().map(|(service, waypoint)| {
        let states: Vec<&str> = waypoints(containers)
            .filter(|container| container.label(harness::project::override_file::WAYPOINT_LABEL) == service)
            .map(|container| container.state.as_str())
            .collect();
        let ports: Vec<String> = waypoint.ports.iter().map(u16::to_string).collect();
        let consumers: Vec<&str> = plan.consumers(service).collect();
        let state = if states.is_empty() {
            "missing".to_owned()
        } else {
            states.join(", ")
        };
        vec![
            service.clone(),
            waypoint.name.clone(),
            state,
            ports.join(","),
            consumers.join(","),
        ]
    });
    format!(
        "{}\n",
        table::plain(&["SERVICE", "WAYPOINT", "STATE", "PORTS", "CALLED BY"], rows)
    )
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
