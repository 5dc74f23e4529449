//! `status`: a project's waypoints, and which callers go past them.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use harness::console::stderr;
use harness::engine::Docker;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::project::waypoints::problems;
use harness::project::{generate, listening};

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::super::output::print;
use super::{listing, open, plan};

pub(in crate::cli) async fn run(
    (files, mesh): (FileArgs, MeshArgs),
    refresh: bool,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let engine = Docker::connect().await?;
    let project = open(files, mesh, Some(&engine)).await?;
    let containers = engine.project(&project.name).await?;
    let mut planned = plan(project, Some(&engine), &containers).await?;
    let image = harness::project::image();
    let mut found = problems(&containers, &planned.plan);
    let services: BTreeSet<String> = planned.project.config.services.keys().cloned().collect();
    let seen = listening::look(&planned.project, &engine, &image, &services, Duration::ZERO).await?;
    let mut known = planned.state.seen.clone();
    listening::take_up(&mut known, seen);
    let files = planned.project.folder.waypoints();
    for (service, waypoint) in &planned.plan.waypoints {
        let open = known.get(service).into_iter().flatten();
        let shut: Vec<String> = open
            .filter(|port| !waypoint.ports.contains(port))
            .map(u16::to_string)
            .collect();
        if !shut.is_empty() && !refresh {
            found.push(format!(
                "{service} listens on {}, which its waypoint refuses: `status --refresh` opens it",
                shut.join(", ")
            ));
        }
        if planned.state.volume.is_none() && !files.join(format!("{service}.json")).is_file() {
            found.push(format!("the waypoint of {service} has no file: `up` writes it"));
        }
    }
    if refresh {
        planned.state.seen = known;
        planned.project.folder.keep(&planned.state)?;
        let refreshed = plan(planned.project.clone(), Some(&engine), &containers)
            .await?
            .plan;
        for (service, waypoint) in &mut planned.plan.waypoints {
            if let Some(now) = refreshed.waypoints.get(service) {
                waypoint.ports.clone_from(&now.ports);
            }
        }
        generate::write(
            &planned.project,
            &planned.plan,
            &mut planned.state,
            &engine,
            &image,
        )
        .await?;
    }
    print(listing(&planned.plan, &containers), interrupts).await?;
    for problem in &found {
        stderr::paragraph(problem);
    }
    Ok(if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
