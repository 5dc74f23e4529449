//! Removes the containers and networks of a run, of a mesh, or of crashed runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use crate::cluster::resources::{Resources, is_ours};
use crate::cluster::topology::Topology;
use crate::engine::owner::{Owner, ProcessState};
use crate::engine::{Container, Engine, EngineError, Network, label};
use crate::wait;

/// Timeout for removals. They are repeated, because a network cannot be removed while a container on it is stopping.
const LIMIT: Duration = Duration::from_secs(30);
/// Interval between two attempts.
const PERIOD: Duration = Duration::from_millis(50);

/// Kills and removes all containers and networks that the harness created and that have the label `key=value`.
///
/// # Errors
/// A container or network still exists after 30 s, or the engine fails.
pub async fn remove_labelled(engine: &Engine, key: &str, value: &str) -> Result<(), EngineError> {
    engine.settled().await;
    let what = format!("removing all resources with the label {key}={value}");
    until_gone(what, async || remove_once(engine, key, value).await).await
}

/// Makes one attempt to remove them. Returns the names of the containers and networks found, followed by the errors of
/// the removals. If the result is empty, nothing is left.
///
/// # Errors
/// Containers or networks cannot be listed.
pub async fn remove_once(engine: &Engine, key: &str, value: &str) -> Result<Vec<String>, EngineError> {
    let filter = format!("{key}={value}");
    let (containers, networks) = tokio::join!(engine.containers(&filter), engine.networks(&filter));
    let (mut containers, mut networks) = (containers?, networks?);
    containers.retain(|container| is_ours(&container.labels));
    networks.retain(|network| is_ours(&network.labels));
    Ok(remove(engine, containers, networks).await)
}

/// Kills and removes the mesh that `found` lists, including what Compose created of it. Keeps the networks to which other
/// containers are attached; returns each with the name of such a container.
///
/// # Errors
/// As [`remove_labelled`].
pub async fn remove_mesh(
    engine: &Engine,
    topology: &Topology,
    found: &Resources,
) -> Result<Vec<(Network, String)>, EngineError> {
    engine.settled().await;
    let all = engine.all_containers().await?;
    let own = |other: &Container| found.containers.iter().any(|container| container.id == other.id);
    let user = |network: &Network| {
        all.iter()
            .find(|other| other.networks.contains(&network.id) && !own(other))
            .map(|other| (network.clone(), other.name.clone()))
    };
    let kept: Vec<_> = found.networks.iter().filter_map(user).collect();
    let what = format!("removing the mesh `{}`", topology.project);
    until_gone(what, async || {
        let Resources {
            containers,
            mut networks,
            other_networks,
            ..
        } = Resources::of(engine, topology).await?;
        // Without its containers, a network of Compose is no longer known to be the mesh's.
        networks.extend(other_networks);
        networks.retain(|network| found.networks.contains(network));
        networks.retain(|network| !kept.iter().any(|(kept, _)| kept == network));
        Ok(remove(engine, containers, networks).await)
    })
    .await?;
    Ok(kept)
}

/// Repeats an attempt, which returns what was still there, until nothing is.
async fn until_gone(
    what: String,
    mut attempt: impl AsyncFnMut() -> Result<Vec<String>, EngineError>,
) -> Result<(), EngineError> {
    let attempt = async || match attempt().await {
        Ok(left) if left.is_empty() => Ok(Ok(())),
        Ok(left) => Err(left),
        Err(error) => Ok(Err(error)),
    };
    match wait::until(LIMIT, PERIOD, attempt, |_| {}).await {
        Ok(result) => result,
        Err(expired) => Err(EngineError::Other {
            what,
            reason: expired.to_string(),
        }),
    }
}

/// Attempts to kill and remove these. Returns their names, followed by the errors of the removals.
async fn remove(engine: &Engine, containers: Vec<Container>, networks: Vec<Network>) -> Vec<String> {
    let names = containers.iter().map(|container| container.name.clone());
    let names = names.chain(networks.iter().map(|network| network.name.clone()));
    let mut left: Vec<String> = names.collect();
    let ids = containers.into_iter().map(|container| container.id).collect();
    let mut errors: Vec<_> = engine.remove_all(ids).await.err().into_iter().collect();
    let removals = networks.iter().map(|network| engine.remove_network(&network.id));
    errors.extend(join_all(removals).await.into_iter().filter_map(Result::err));
    left.extend(errors.iter().map(ToString::to_string));
    left
}

/// Removes and returns the leftovers of harness processes that have ended. Resources of a running process, of a process
/// on another machine, or of no process (`--detach`) are kept.
///
/// # Errors
/// The engine fails.
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

/// The leftovers of a run whose process has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The run's id, the value of its label.
    pub run: String,
    /// The projects of its meshes. Empty if only helpers are left: they belong to no project.
    pub projects: BTreeSet<String>,
}

/// The leftovers among resources with these labels, grouped by run.
fn leftovers<'a>(labels: impl Iterator<Item = &'a BTreeMap<String, String>>) -> Vec<Leftover> {
    let ended = |text: &String| match text.parse() {
        Ok(Owner::Process(process)) => process.state() == ProcessState::Ended,
        Ok(Owner::Detached) | Err(_) => false,
    };
    let mut runs: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
    for labels in labels.filter(|labels| labels.get(label::OWNER).is_some_and(ended)) {
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

    fn ended_owner() -> String {
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
    fn a_run_that_ended_is_found_by_any_of_its_leftovers() {
        let here = Owner::Process(Process::this()).to_string();
        let (ended, detached) = (ended_owner(), Owner::Detached.to_string());
        let all = [
            labels("mesh", &ended, Some("one")),
            labels("mesh", &ended, Some("two")),
            labels("mesh", &ended, None),
            labels("helper", &ended, None),
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
    async fn leftovers_without_a_project_are_removed_too() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Process(Processes::open_in(directory.path().join("state")).unwrap());
        let here = Owner::Process(Process::this()).to_string();
        for labels in [labels("left", &ended_owner(), None), labels("runs", &here, None)] {
            engine.create_network("net", &labels).await.unwrap();
        }
        let swept = sweep(&engine).await.unwrap();
        assert_eq!(swept.len(), 1, "{swept:?}");
        let networks = engine.networks(label::RUN).await.unwrap();
        let runs: Vec<_> = networks
            .iter()
            .map(|network| &network.labels[label::RUN])
            .collect();
        assert_eq!(runs, ["runs"]);
        assert!(sweep(&engine).await.unwrap().is_empty());
    }
}
