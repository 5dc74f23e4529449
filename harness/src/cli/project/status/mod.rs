//! `status`: a project's waypoints, which callers go past them, and which ports are refused.

mod watch;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use harness::console::stderr;
use harness::engine::Docker;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::project::listening::Sockets;
use harness::project::status::ProjectStatus;
use harness::project::waypoints::{moved, not_added, problems};
use harness::project::{generate, listening};

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::super::output::print;
use super::super::status::Shown;
use super::{Planned, foreign_callers, open, plan};

pub(in crate::cli) async fn run(
    (files, mesh): (FileArgs, MeshArgs),
    shown: Shown,
    refresh: bool,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let engine = Docker::connect().await?;
    let project = open(files, mesh, Some(&engine)).await?;
    let containers = engine.project(&project.name).await?;
    let state = project.folder.state()?;
    let mut planned = plan(project, state, Some(&engine), &containers).await?;
    if shown.watch {
        return watch::run(&engine, planned, shown.json, interrupts).await;
    }
    let shut = shut_ports(&planned, &engine).await?;
    let found = if refresh {
        open_ports(&mut planned, shut, &engine).await?;
        Vec::new()
    } else {
        shut.problems(&planned)
    };
    let status = status(&planned, &engine, found).await?;
    if shown.json {
        print(format!("{}\n", json(&status, true)?), interrupts).await?;
    } else {
        print(status.table(), interrupts).await?;
        for problem in &status.problems {
            stderr::paragraph(problem);
        }
    }
    Ok(if status.complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The status now, with the problems `found` beside those of the containers.
async fn status(planned: &Planned, engine: &Docker, found: Vec<String>) -> Result<ProjectStatus, Error> {
    let Planned { project, state, plan } = planned;
    let image = harness::project::image();
    let containers = engine.project(&project.name).await?;
    let mut all = problems(&containers, plan, engine.image_id(&image).await?.as_deref());
    all.extend(moved(&state.waypoints, &containers, plan));
    let not_added = not_added(&containers, plan);
    let added = |service: &str| !not_added.contains(service);
    all.extend(generate::file_problems(project, plan, state, engine, added).await?);
    all.extend(foreign_callers(project, plan, engine, &containers).await?);
    all.extend(found);
    Ok(ProjectStatus::new(&project.name, plan, &containers, all))
}

/// Ports on which services listen now.
struct Listening(Sockets);

impl Listening {
    /// Those that waypoints refuse, a line each.
    fn problems(&self, planned: &Planned) -> Vec<String> {
        let mut lines = Vec::new();
        for (service, waypoint) in &planned.plan.waypoints {
            let open = self.0.tcp.get(service).into_iter().flatten();
            let shut: Vec<String> = open
                .filter(|port| !waypoint.ports.contains(port))
                .map(u16::to_string)
                .collect();
            if !shut.is_empty() {
                lines.push(format!(
                    "{service} listens on {}, which its waypoint refuses: `status --refresh` opens it",
                    shut.join(", ")
                ));
            }
            if let Some(port) = self.0.udp.get(service).and_then(BTreeSet::first) {
                lines.push(format!(
                    "{service} listens on the UDP port {port}, which its waypoint does not pass: `up` takes it out"
                ));
            }
        }
        lines
    }
}

async fn shut_ports(planned: &Planned, engine: &Docker) -> Result<Listening, Error> {
    let services: BTreeSet<String> = planned.project.config.services.keys().cloned().collect();
    let image = harness::project::image();
    let seen = listening::look(&planned.project, engine, &image, &services, Duration::ZERO).await?;
    let mut known = planned.state.seen.clone();
    listening::take_up(&mut known, seen);
    Ok(Listening(known))
}

/// Writes the ports on which services listen to the waypoints' files.
async fn open_ports(planned: &mut Planned, now: Listening, engine: &Docker) -> Result<(), Error> {
    planned.state.seen = now.0;
    planned.project.folder.keep(&planned.state)?;
    let containers = engine.project(&planned.project.name).await?;
    let again = plan(
        planned.project.clone(),
        planned.state.clone(),
        Some(engine),
        &containers,
    );
    let refreshed = again.await?.plan;
    planned.plan.take_ports(&refreshed);
    let image = harness::project::image();
    generate::write(
        &planned.project,
        &planned.plan,
        &mut planned.state,
        engine,
        &image,
    )
    .await
}

fn json(status: &ProjectStatus, pretty: bool) -> Result<String, Error> {
    let text = if pretty {
        serde_json::to_string_pretty(status)
    } else {
        serde_json::to_string(status)
    };
    text.map_err(|error| {
        Error::environment(
            format!("the status cannot be written as JSON: {error}"),
            "this is a bug in the harness: please report it with this output",
        )
    })
}
