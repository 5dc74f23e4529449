//! Taking away what was made: a run's own things, a project's, and what crashed runs left.

use futures_util::future::join_all;

use crate::owner::{Life, Owner};
use crate::runtime::{Container, Docker, Network, RuntimeError, label};

/// Times that a removal is tried: a container that is still being removed keeps its network in use.
const ROUNDS: usize = 5;

/// Kills and removes all that has the label `key=value`: containers, then networks.
///
/// # Errors
/// Something is still there after several attempts.
pub async fn remove_labelled(docker: &Docker, key: &str, value: &str) -> Result<(), RuntimeError> {
    let filter = format!("{key}={value}");
    let mut last = Ok(());
    docker.settled().await;
    for _ in 0..ROUNDS {
        let containers = docker.containers(&filter).await?;
        let networks = docker.networks(&filter).await?;
        if containers.is_empty() && networks.is_empty() {
            return Ok(());
        }
        last = remove(docker, &containers, &networks).await;
    }
    last
}

async fn remove(docker: &Docker, containers: &[Container], networks: &[Network]) -> Result<(), RuntimeError> {
    let removals = join_all(containers.iter().map(|container| docker.remove(&container.id))).await;
    let networks = join_all(networks.iter().map(|network| docker.remove_network(&network.id))).await;
    removals.into_iter().chain(networks).collect()
}

/// Removes what harness processes that are over left behind; answers with the names of those meshes' projects.
/// What belongs to a running process, to nobody (`--detach`), or to a process elsewhere stays.
///
/// # Errors
/// The engine's.
pub async fn sweep(docker: &Docker) -> Result<Vec<String>, RuntimeError> {
    let over = |text: &str| match text.parse() {
        Ok(Owner::Process(process)) => process.life() == Life::Over,
        Ok(Owner::Detached) | Err(_) => false,
    };
    let containers = docker.containers(label::OWNER).await?;
    let networks = docker.networks(label::OWNER).await?;
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
        remove_labelled(docker, label::RUN, run).await?;
    }
    Ok(left.into_iter().map(|(_, project)| project).collect())
}
