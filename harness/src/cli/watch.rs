//! Reports changes of the containers' states while `up` keeps a mesh running.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::cluster::mesh::Mesh;
use harness::console::Progress;
use harness::engine::{Container, Engine, label};

/// Polling interval.
const PERIOD: Duration = Duration::from_secs(1);

/// Reports every container that exits, is paused, removed, or runs again. Returns once all have been removed.
pub(super) async fn containers(engine: &Engine, mesh: &Mesh, run: &str, progress: &Progress) {
    let filter = format!("{}={run}", label::RUN);
    let nodes = mesh.nodes().iter();
    let mut known: BTreeMap<String, ContainerState> = nodes
        .map(|node| (node.container.name.clone(), ContainerState::Running))
        .collect();
    loop {
        // An engine's error is ignored until the next poll.
        if let Ok(listed) = engine.containers(&filter).await {
            for change in changes(&mut known, &listed) {
                progress.say(&change);
            }
            if known.values().all(|state| *state == ContainerState::Removed) {
                return;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ContainerState {
    Running,
    Paused,
    Ended,
    Removed,
}

/// Updates `known`, and describes each change.
fn changes(known: &mut BTreeMap<String, ContainerState>, listed: &[Container]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, known) in known {
        let container = listed.iter().find(|container| container.name == *name);
        let (state, what) = match container.map(|container| (container.state.as_str(), container)) {
            None => (ContainerState::Removed, "has been removed".to_owned()),
            Some(("running", _)) => (ContainerState::Running, "is running again".to_owned()),
            Some(("paused", _)) => (ContainerState::Paused, "is paused".to_owned()),
            Some((_, container)) if container.ended() => (ContainerState::Ended, container.failure()),
            // Other states are transient.
            Some(_) => continue,
        };
        if state != *known {
            lines.push(format!("{name} {what}"));
            *known = state;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, state: &str, status: &str) -> Container {
        Container {
            name: name.to_owned(),
            state: state.to_owned(),
            status: status.to_owned(),
            ..Container::default()
        }
    }

    #[test]
    fn each_change_is_reported_once() {
        let mut known = BTreeMap::from([
            ("lb".to_owned(), ContainerState::Running),
            ("b".to_owned(), ContainerState::Running),
        ]);
        let up = || container("lb", "running", "Up 3 seconds");
        assert!(changes(&mut known, &[up(), container("b", "running", "Up")]).is_empty());
        let killed = [up(), container("b", "exited", "Exited (137) 1 second ago")];
        assert_eq!(changes(&mut known, &killed), ["b has ended (exit code 137)"]);
        assert!(changes(&mut known, &killed).is_empty());
        assert_eq!(changes(&mut known, &[up()]), ["b has been removed"]);
        let again = [
            container("lb", "paused", "Up (Paused)"),
            container("b", "running", "Up"),
        ];
        assert_eq!(
            changes(&mut known, &again),
            ["b is running again", "lb is paused"]
        );
    }
}
