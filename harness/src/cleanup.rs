//! Taking away what was made: a run's own things, a project's, and what crashed runs left.

use std::time::Duration;

use futures_util::future::join_all;

use crate::owner::{Life, Owner};
use crate::runtime::{Container, Network, Runtime, RuntimeError, label};
use crate::wait;

/// Time that removals may take, tried again and again: a container that is still going keeps its network in use.
const LIMIT: Duration = Duration::from_secs(30);
const PERIOD: Duration = Duration::from_millis(50);

/// Kills and removes all that has the label `key=value`: containers, then networks.
///
/// # Errors
/// Something is still there after 30 s, or the engine's.
pub async fn remove_labelled(runtime: &Runtime, key: &str, value: &str) -> Result<(), RuntimeError> {
    let filter = format!("{key}={value}");
    runtime.settled().await;
    let attempt = async || {
        let listed = async {
            Ok((
                runtime.containers(&filter).await?,
                runtime.networks(&filter).await?,
            ))
        };
        let (containers, networks) = match listed.await {
            Ok(listed) => listed,
            Err(error) => return Ok(Err(error)),
        };
        if containers.is_empty() && networks.is_empty() {
            return Ok(Ok(()));
        }
        let names = containers.iter().map(|container| container.name.clone());
        let mut left: Vec<String> = names
            .chain(networks.iter().map(|network| network.name.clone()))
            .collect();
        if let Err(error) = remove(runtime, &containers, &networks).await {
            left.push(error.to_string());
        }
        Err(left)
    };
    let what = || format!("removing what has the label {filter}");
    match wait::until(LIMIT, PERIOD, attempt, |_| {}).await {
        Ok(result) => result,
        Err(expired) => Err(RuntimeError::Engine {
            what: what(),
            reason: expired.to_string(),
        }),
    }
}

async fn remove(
    runtime: &Runtime,
    containers: &[Container],
    networks: &[Network],
) -> Result<(), RuntimeError> {
    let removals = join_all(containers.iter().map(|container| runtime.remove(&container.id))).await;
    let networks = join_all(networks.iter().map(|network| runtime.remove_network(&network.id))).await;
    removals.into_iter().chain(networks).collect()
}

/// Removes what harness processes that are over left behind; answers with the names of those meshes' projects.
/// What belongs to a running process, to nobody (`--detach`), or to a process elsewhere stays.
///
/// # Errors
/// The engine's.
pub async fn sweep(runtime: &Runtime) -> Result<Vec<String>, RuntimeError> {
    let over = |text: &str| match text.parse() {
        Ok(Owner::Process(process)) => process.life() == Life::Over,
        Ok(Owner::Detached) | Err(_) => false,
    };
    let containers = runtime.containers(label::OWNER).await?;
    let networks = runtime.networks(label::OWNER).await?;
    let labels = containers.iter().map(|container| &container.labels);
    let mut left: Vec<(String, String)> = labels
        .chain(networks.iter().map(|network| &network.labels))
        .filter(|labels| labels.get(label::OWNER).is_some_and(|owner| over(owner)))
        .filter_map(|labels| {
            Some((
                labels.get(label::RUN)?.clone(),
                labels.get(label::PROJECT)?.clone(),
            ))
        })
        .collect();
    left.sort();
    left.dedup();
    for (run, _) in &left {
        remove_labelled(runtime, label::RUN, run).await?;
    }
    Ok(left.into_iter().map(|(_, project)| project).collect())
}
