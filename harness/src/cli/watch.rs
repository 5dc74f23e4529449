//! What becomes of a mesh's containers while `up` stays with it.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::cluster::mesh::Mesh;
use harness::engine::{Container, Engine, label};
use harness::report::Progress;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Tells of every container of the mesh that ends, goes, or comes back, until all have been removed.
pub(super) async fn containers(engine: &Engine, mesh: &Mesh, run: &str, progress: &Progress) {
    let filter = format!("{}={run}", label::RUN);
    let nodes = mesh.nodes().iter();
    let mut known: BTreeMap<String, State> = nodes
        .map(|node| (node.container.name.clone(), State::Running))
        .collect();
    loop {
        // An engine that gives no answer now may give one at the next look.
        if let Ok(listed) = engine.containers(&filter).await {
            for news in news(&mut known, &listed) {
                progress.say(&news);
            }
            if known.values().all(|state| *state == State::Removed) {
                return;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Ended,
    Removed,
}

/// A sentence for each container that is no longer as it was `known`, which is brought up to date.
fn news(known: &mut BTreeMap<String, State>, listed: &[Container]) -> Vec<String> {
    let mut told = Vec::new();
    for (name, known) in known {
        let container = listed.iter().find(|container| container.name == *name);
        let (state, what) = match container.map(|container| (container.state.as_str(), container)) {
            None => (State::Removed, "has been removed".to_owned()),
            Some(("running", _)) => (State::Running, "is running again".to_owned()),
            Some(("paused", _)) => (State::Paused, "is paused".to_owned()),
            Some((_, container)) if container.ended() => (State::Ended, container.plight()),
            // On its way from one to another.
            Some(_) => continue,
        };
        if state != *known {
            told.push(format!("{name} {what}"));
            *known = state;
        }
    }
    told
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
    fn each_change_is_told_once() {
        let mut known = BTreeMap::from([
            ("lb".to_owned(), State::Running),
            ("b".to_owned(), State::Running),
        ]);
        let up = || container("lb", "running", "Up 3 seconds");
        assert!(news(&mut known, &[up(), container("b", "running", "Up")]).is_empty());
        let killed = [up(), container("b", "exited", "Exited (137) 1 second ago")];
        assert_eq!(news(&mut known, &killed), ["b has ended (exit code 137)"]);
        assert!(news(&mut known, &killed).is_empty());
        assert_eq!(news(&mut known, &[up()]), ["b has been removed"]);
        let again = [
            container("lb", "paused", "Up (Paused)"),
            container("b", "running", "Up"),
        ];
        assert_eq!(news(&mut known, &again), ["b is running again", "lb is paused"]);
    }
}
