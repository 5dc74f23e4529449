//! `inject`: prints what would be added to a project.

use std::process::ExitCode;

use harness::console::stderr;
use harness::engine::Docker;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::project::override_file::{additions, yaml};
use harness::project::waypoints::{problems, waypoints};

use super::super::file_args::FileArgs;
use super::super::mesh_args::MeshArgs;
use super::super::output::print;
use super::{notes, open, plan, which};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct InjectArgs {
    #[command(flatten)]
    pub(in crate::cli) files: FileArgs,
    #[command(flatten)]
    pub(in crate::cli) mesh: MeshArgs,
}

pub(in crate::cli) async fn run(
    files: FileArgs,
    mesh: MeshArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    // Only the images' ports need an engine.
    let engine = Docker::connect().await;
    let mut said = Vec::new();
    if let Err(error) = &engine {
        said.push(format!("{error}; the images' ports are not known."));
    }
    let engine = engine.ok();
    let project = open(files, mesh, engine.as_ref()).await?;
    let containers = match &engine {
        Some(engine) => engine.project(&project.name).await?,
        None => Vec::new(),
    };
    let mut state = project.folder.state()?;
    if let Some(engine) = &engine {
        state.relabel = engine.separates_by_selinux().await?;
    }
    let planned = plan(project, state, engine.as_ref(), &containers).await?;
    let project = &planned.project;
    let added = additions(
        &planned.plan,
        &harness::project::image(),
        &project.source(&planned.state),
    );
    let text = yaml(&added).map_err(|reason| {
        Error::environment(
            format!("the additions cannot be written: {reason}"),
            "report this with the project's files",
        )
    })?;
    said.extend(notes(&planned.plan));
    if let Some(engine) = engine.filter(|_| waypoints(&containers).next().is_some()) {
        let image_id = engine.image_id(&harness::project::image()).await?;
        let found = problems(&containers, &planned.plan, image_id.as_deref());
        said.extend(found.into_iter().map(|problem| format!("Note: {problem}.")));
    }
    said.push(which(project));
    for note in said {
        stderr::paragraph(&note);
    }
    print(text, interrupts).await?;
    Ok(ExitCode::SUCCESS)
}
