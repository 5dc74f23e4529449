//! Compose projects of many shapes: what the harness adds is valid for each installed Compose, and nothing of the
//! user's is changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::project::compose_program::{ComposeProgram, Generation};
use harness::project::folder::{OVERRIDE, State, WHOLE};
use harness::project::open::{Project, Selection};
use harness::project::override_file::{additions, whole, yaml};
use harness::project::plan::{Facts, Plan};

/// The words of a comment at the beginning of a project's file; none without it.
fn expected(text: &str, key: &str) -> BTreeSet<String> {
    let mut comments = text.lines().take_while(|line| line.starts_with('#'));
    let words = comments.find_map(|line| line.strip_prefix(key));
    words
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn what_is_added_is_valid_for_compose() -> Result<()> {
    if tests::compose().await?.is_empty() {
        return Ok(());
    }
    let programs = ComposeProgram::installed().await;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        for program in &programs {
            if program.generation == Generation::V1 && text.contains("\n# only: 2\n") {
                continue;
            }
            let what = || format!("{} with {}", path.display(), program.described());
            added(program, &text).await.with_context(what)?;
        }
    }
    Ok(())
}

async fn added(program: &ComposeProgram, text: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("compose.yaml");
    fs::write(&file, text)?;
    let selection = Selection {
        files: vec![file.clone()],
        project: Some("shape".to_owned()),
        ..Selection::default()
    };
    let project = Project::open(program.clone(), selection).await?;
    let plan = Plan::new(&project.name, &project.config, &Facts::default()).map_err(anyhow::Error::msg)?;
    let found: BTreeSet<String> = plan.waypoints.keys().cloned().collect();
    ensure!(found == expected(text, "# waypoints:"), "waypoints: {found:?}");
    let of_http = plan.waypoints.iter().flat_map(|(service, waypoint)| {
        let ports = waypoint.protocols.iter();
        ports.map(move |(port, protocol)| format!("{service}:{port}/{protocol}"))
    });
    let of_http: BTreeSet<String> = of_http.collect();
    ensure!(of_http == expected(text, "# http:"), "ports of HTTP: {of_http:?}");

    let added = additions(
        &plan,
        &harness::project::image(),
        &project.source(&State::default()),
    );
    project.folder.create()?;
    let (name, generated) = match program.generation {
        Generation::V2 => (OVERRIDE, yaml(&added)),
        Generation::V1 => (WHOLE, yaml(&whole(&project.printed, &added))),
    };
    project
        .folder
        .write(name, &generated.map_err(anyhow::Error::msg)?)?;
    let mut arguments = project.arguments();
    arguments.push("config".to_owned());
    let printed = program.read(&arguments).await?;
    for waypoint in plan.waypoints.values() {
        ensure!(
            printed.contains(&waypoint.name),
            "no {} in\n{printed}",
            waypoint.name
        );
    }
    for dollars in text.match_indices("$$") {
        let word: String = text[dollars.0..]
            .chars()
            .take_while(|c| !c.is_whitespace() && !"'\"".contains(*c))
            .collect();
        ensure!(printed.contains(&word), "{word} is changed in\n{printed}");
    }
    ensure!(
        fs::read_to_string(&file)? == text,
        "the project's file was written"
    );
    Ok(())
}
