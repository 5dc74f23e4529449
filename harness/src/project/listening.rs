//! Looks at which ports a project's running containers listen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::open::Project;
use super::override_file::WAYPOINT_LABEL;
use crate::engine::{Docker, Inspected, label};
use crate::error::Error;

/// Helpers at a time.
const CONCURRENT: usize = 4;
/// Time between two looks at a container that listens on no port yet.
const PERIOD: Duration = Duration::from_millis(500);

/// The ports by service. A service whose containers run and listen on none has an empty set.
pub type Seen = BTreeMap<String, BTreeSet<u16>>;

/// Looks at the running containers of the `services`, until each listens on a port, or has ended, or `limit` is over.
/// Containers in another one's network namespace are left out: it has their ports.
///
/// # Errors
/// The engine fails.
pub async fn look(
    project: &Project,
    engine: &Docker,
    image: &str,
    services: &BTreeSet<String>,
    limit: Duration,
) -> Result<Seen, Error> {
    let deadline = Instant::now() + limit;
    loop {
        let containers = engine.project(&project.name).await?;
        let running: Vec<&Inspected> = containers
            .iter()
            .filter(|container| container.running() && services.contains(container.label(label::SERVICE)))
            .filter(|container| !container.labels.contains_key(WAYPOINT_LABEL))
            .filter(|container| {
                let mode = &container.network_mode;
                mode != "host" && mode != "none" && !mode.starts_with("container:")
            })
            .collect();
        let looks = stream::iter(running).map(|container| async move {
            let lines = engine
                .output_in_namespace(image, &container.id, &["listening"])
                .await;
            (container.label(label::SERVICE).to_owned(), lines)
        });
        let looks: Vec<_> = looks.buffer_unordered(CONCURRENT).collect().await;
        let mut seen = Seen::new();
        for (service, lines) in looks {
            // A container that ended meanwhile has no namespace.
            let Ok(lines) = lines else { continue };
            let ports = lines.iter().filter_map(|line| line.trim().parse::<u16>().ok());
            seen.entry(service).or_default().extend(ports);
        }
        let all = seen.values().all(|ports| !ports.is_empty());
        if all || Instant::now() >= deadline {
            return Ok(seen);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Takes up what was seen. What listened before and now does not, keeps its ports: it may be starting. Returns the
/// services with ports that were not known.
pub fn take_up(known: &mut Seen, seen: Seen) -> Vec<String> {
    let mut news = Vec::new();
    for (service, ports) in seen {
        let before = known.entry(service.clone()).or_default();
        if !ports.is_subset(before) {
            news.push(service);
        }
        if !ports.is_empty() {
            *before = ports;
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_replaced_unless_nothing_listens() {
        let seen = |ports: &[u16]| Seen::from([("a".to_owned(), ports.iter().copied().collect())]);
        let mut known = Seen::new();
        assert!(take_up(&mut known, seen(&[])).is_empty());
        assert_eq!(known, seen(&[]));
        assert_eq!(take_up(&mut known, seen(&[1, 2])), ["a"]);
        assert!(take_up(&mut known, seen(&[])).is_empty());
        assert_eq!(known, seen(&[1, 2]));
        assert!(take_up(&mut known, seen(&[2])).is_empty());
        assert_eq!(known, seen(&[2]));
    }
}
