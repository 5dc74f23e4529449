//! Taking away what was made: a run's own things, a project's, and what crashed runs left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use crate::engine::owner::{Life, Owner};
use crate::engine::{Engine, EngineError, label};
use crate::wait;

/// Time that removals may take, tried again and again: a container that is still going keeps its network in use.
const LIMIT: Duration = Duration::from_secs(30);
const PERIOD: Duration = Duration::from_millis(50);

/// Kills and removes all that has the label `key=value`: containers, then networks.
///
/// # Errors
/// Something is still there after 30 s, or the engine's.
pub async fn remove_labelled(engine: &Engine, key: &str, value: &str) -> Result<(), EngineError> {
    engine.settled().await;
    let attempt = async || match attempt(engine, key, value).await {
        Ok(left) if left.is_empty() => Ok(Ok(())),
        Ok(left) => Err(left),
        Err(error) => Ok(Err(error)),
    };
    match wait::until(LIMIT, PERIOD, attempt, |_| {}).await {
        Ok(result) => result,
        Err(expired) => Err(EngineError::Other {
            what: format!("removing what has the label {key}={value}"),
            reason: expired.to_string(),
        }),
    }
}

/// One attempt at that. Answers with what was there, which is gone unless the errors that follow the names say
/// otherwise; so nothing is there once this names nothing.
///
/// # Errors
/// What is there cannot be listed.
pub async fn attempt(engine: &Engine, key: &str, value: &str) -> Result<Vec<String>, EngineError> {
    let filter = format!("{key}={value}");
    let (containers, networks) = tokio::join!(engine.containers(&filter), engine.networks(&filter));
    let (containers, networks) = (containers?, networks?);
    let names = containers.iter().map(|container| container.name.clone());
    let names = names.chain(networks.iter().map(|network| network.name.clone()));
    let mut there: Vec<String> = names.collect();
    let ids = containers.into_iter().map(|container| container.id).collect();
    let mut errors: Vec<_> = engine.remove_all(ids).await.err().into_iter().collect();
    let removals = networks.iter().map(|network| engine.remove_network(&network.id));
    errors.extend(join_all(removals).await.into_iter().filter_map(Result::err));
    there.extend(errors.iter().map(ToString::to_string));
    Ok(there)
}

/// Removes what harness processes that are over left behind; answers with each such run's projects. What belongs to a
/// running process, to nobody (`--detach`), or to a process elsewhere stays.
///
/// # Errors
/// The engine's.
pub async fn sweep(engine: &Engine) -> Result<Vec<Leftover>, EngineError> {
    let containers = engine.containers(label::OWNER).await?;
    let networks = engine.networks(label::OWNER).await?;
    let labels = containers.iter().map(|container| &container.labels);
    let left = leftovers(labels.chain(networks.iter().map(|network| &network.labels)));
    for leftover in &left {
        remove_labelled(engine, label::RUN, &leftover.run).await?;
    }
    Ok(left)
}

/// What a run left whose process is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The run, as the labels have it.
    pub run: String,
    /// The projects of its meshes; none where only helpers were left, which belong to no project.
    pub projects: BTreeSet<String>,
}

/// The runs that are over, by the labels of all that has an owner.
fn leftovers<'a>(labels: impl Iterator<Item = &'a BTreeMap<String, String>>) -> Vec<Leftover> {
    let over = |text: &String| match text.parse() {
        Ok(Owner::Process(process)) => process.life() == Life::Over,
        Ok(Owner::Detached) | Err(_) => false,
    };
    let mut runs: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
    for labels in labels.filter(|labels| labels.get(label::OWNER).is_some_and(over)) {
        if let Some(run) = labels.get(label::RUN) {
            let projects = runs.entry(run).or_default();
            projects.extend(labels.get(label::PROJECT).cloned());
        }
    }
    let leftover = |(run, projects): (&String, _)| Leftover {
        run: run.clone(),
        projects,
    };
    runs.into_iter().map(leftover).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Processes;
    use crate::engine::owner::Process;

    fn over() -> String {
        let earlier = Process {
            started: "1".to_owned(),
            ..Process::this()
        };
        Owner::Process(earlier).to_string()
    }

    fn labels(run: &str, owner: &str, project: Option<&str>) -> BTreeMap<String, String> {
        let all = [
            (label::RUN, Some(run)),
            (label::OWNER, Some(owner)),
            (label::PROJECT, project),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect()
    }

    #[test]
    fn a_run_that_is_over_is_found_whatever_is_left_of_it() {
        let here = Owner::Process(Process::this()).to_string();
        let (over, detached) = (over(), Owner::Detached.to_string());
        let all = [
            labels("mesh", &over, Some("one")),
            labels("mesh", &over, Some("two")),
            labels("mesh", &over, None),
            labels("helper", &over, None),
            labels("runs", &here, Some("three")),
            labels("stays", &detached, Some("four")),
            labels("unknown", "somebody", None),
        ];
        let found = |run: &str, projects: &[&str]| Leftover {
            run: run.to_owned(),
            projects: projects.iter().map(|&project| project.to_owned()).collect(),
        };
        assert_eq!(
            leftovers(all.iter()),
            [found("helper", &[]), found("mesh", &["one", "two"])]
        );
    }

    #[tokio::test]
    async fn what_has_no_project_is_swept_too() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Process(Processes::open_in(directory.path().join("state")).unwrap());
        let here = Owner::Process(Process::this()).to_string();
        for labels in [labels("left", &over(), None), labels("runs", &here, None)] {
            engine.create_network("net", &labels).await.unwrap();
        }
        let swept = sweep(&engine).await.unwrap();
        assert_eq!(swept.len(), 1, "{swept:?}");
        let there = engine.networks(label::RUN).await.unwrap();
        let runs: Vec<_> = there.iter().map(|network| &network.labels[label::RUN]).collect();
        assert_eq!(runs, ["runs"]);
        assert!(sweep(&engine).await.unwrap().is_empty());
    }
}
