//! Writes what the harness generates for a project, where its containers read it.

use std::collections::BTreeMap;
use std::path::Path;

use super::compose_program::Generation;
use super::folder::{OVERRIDE, State, WAYPOINTS, WHOLE};
use super::model::Mount;
use super::open::Project;
use super::override_file::{additions, whole, yaml};
use super::plan::Plan;
use super::waypoint_file;
use crate::engine::{Docker, HelperMount};
use crate::error::Error;

/// A file of the waypoints' folder by which the engine's view of it is tested.
const PROBE: &str = "probe";

/// Decides where waypoints read their files from: the project's folder if the engine sees it, otherwise a volume. The
/// engine sees no folder of this machine if it runs on another one, and makes an empty one in its place.
///
/// # Errors
/// The folder cannot be written, or the engine fails.
pub async fn choose_source(
    project: &Project,
    state: &mut State,
    engine: &Docker,
    image: &str,
) -> Result<(), Error> {
    let token = format!("{:032x}\n", rand::random::<u128>());
    let file = format!("{WAYPOINTS}/{PROBE}");
    project.folder.write(&file, &token)?;
    let directory = project.folder.waypoints().to_string_lossy().into_owned();
    let seen = engine
        .file_in(image, HelperMount::Directory(directory), PROBE)
        .await;
    // An error here is told by the next write to the folder.
    let _ = std::fs::remove_file(project.folder.path().join(file));
    state.relabel = engine.separates_by_selinux().await?;
    state.volume = match seen? {
        Some(content) if content == token.as_bytes() => None,
        _ => Some(format!("{}_mesh", project.name)),
    };
    Ok(())
}

/// The services that mount something of the project's directory. Compose resolves those paths on this machine, so an
/// engine that does not see the directory mounts empty ones.
pub fn mounting(project: &Project) -> Vec<&str> {
    let inside = |mount: &Mount| Path::new(&mount.source).starts_with(&project.directory);
    let services = project.config.services.iter();
    let services = services.filter(|(_, service)| service.mounts.iter().any(inside));
    services.map(|(name, _)| name.as_str()).collect()
}

/// Writes the generated Compose file, the waypoints' files and the state.
///
/// # Errors
/// A file cannot be written, or the volume not be filled.
pub async fn write(
    project: &Project,
    plan: &Plan,
    state: &mut State,
    engine: &Docker,
    image: &str,
) -> Result<(), Error> {
    project.folder.create()?;
    let unwritten = |reason: String| {
        Error::environment(
            format!("what is generated cannot be written: {reason}"),
            "report this with the project's files",
        )
    };
    let added = additions(plan, image, &project.source(state));
    let (name, text) = match project.compose.generation {
        Generation::V2 => (OVERRIDE, yaml(&added)),
        Generation::V1 => (WHOLE, yaml(&whole(&project.printed, &added))),
    };
    let text = text.map_err(unwritten)?;
    project.folder.write(name, &text)?;
    if state.installed {
        project.install(&text)?;
    }
    state.project.clone_from(&project.name);
    state.addresses = plan.addresses();
    project.folder.keep(state)?;
    let mut files = BTreeMap::new();
    for (service, waypoint) in &plan.waypoints {
        files.insert(service.clone(), waypoint_file::text(waypoint).map_err(unwritten)?);
    }
    project.folder.write_waypoints(&files)?;
    if let Some(volume) = &state.volume {
        let tar = tar(&files).map_err(|error| unwritten(error.to_string()))?;
        engine
            .fill_volume(image, (volume, &project.name), tar.into())
            .await?;
    }
    Ok(())
}

/// The waypoints that are `added` and whose file is missing or does not say what `up` would write now, a line each.
///
/// # Errors
/// The engine fails.
pub async fn file_problems(
    project: &Project,
    plan: &Plan,
    state: &State,
    engine: &Docker,
    added: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Error> {
    let in_volume = match &state.volume {
        Some(volume) => Some(engine.files_in_volume(&super::image(), volume).await?),
        None => None,
    };
    let mut problems = Vec::new();
    for (service, waypoint) in plan.waypoints.iter().filter(|(service, _)| added(service)) {
        let file = format!("{service}.json");
        // A volume is filled with the same text.
        let written = std::fs::read_to_string(project.folder.waypoints().join(&file)).ok();
        let exists = in_volume.as_ref().is_none_or(|files| files.contains(&file));
        problems.extend(waypoint_file::problem(
            waypoint,
            written.filter(|_| exists).as_deref(),
        ));
    }
    Ok(problems)
}

fn tar(files: &BTreeMap<String, String>) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (service, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, format!("{service}.json"), text.as_bytes())?;
    }
    archive.into_inner()
}
