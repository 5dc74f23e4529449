//! Looks at which ports a project's running containers listen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

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

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sockets {
    /// TCP ports, of each service that was looked at.
    #[serde(rename = "seen")]
    pub tcp: Seen,
    /// UDP ports.
    pub udp: Seen,
}

impl Sockets {
    /// Adds what a container of `service` listens on: lines such as `80` and `53/udp`.
    fn add(&mut self, service: &str, lines: &[String]) {
        let tcp = self.tcp.entry(service.to_owned()).or_default();
        let udp = self.udp.entry(service.to_owned()).or_default();
        for line in lines {
            match line.trim().split_once('/') {
                None => tcp.extend(line.trim().parse::<u16>()),
                Some((port, "udp")) => udp.extend(port.parse::<u16>()),
                Some(_) => {}
            }
        }
    }

    fn none(&self, service: &str) -> bool {
        [&self.tcp, &self.udp]
            .into_iter()
            .all(|seen| seen.get(service).is_none_or(BTreeSet::is_empty))
    }
}

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
) -> Result<Sockets, Error> {
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
        let mut seen = Sockets::default();
        for (service, lines) in looks {
            // A container that ended meanwhile has no namespace.
            let Ok(lines) = lines else { continue };
            seen.add(&service, &lines);
        }
        let all = seen.tcp.keys().all(|service| !seen.none(service));
        if all || Instant::now() >= deadline {
            return Ok(seen);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Takes up what was seen. What listened before and now does not, keeps its ports: it may be starting. Returns the
/// services with TCP ports that were not known.
pub fn take_up(known: &mut Sockets, seen: Sockets) -> Vec<String> {
    let mut news = Vec::new();
    for service in seen.tcp.keys() {
        let before = known.tcp.entry(service.clone()).or_default();
        let (tcp, udp) = (&seen.tcp[service], seen.udp.get(service));
        if !tcp.is_subset(before) {
            news.push(service.clone());
        }
        if !tcp.is_empty() {
            before.clone_from(tcp);
        }
        if !seen.none(service) {
            let udp = udp.cloned().unwrap_or_default();
            known.udp.insert(service.clone(), udp);
        }
    }
    known.udp.retain(|_, ports| !ports.is_empty());
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_replaced_unless_nothing_listens() {
        let seen = |lines: &[&str]| {
            let mut seen = Sockets::default();
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            seen.add("a", &lines);
            seen
        };
        let ports = |known: &Sockets| {
            let of = |seen: &Seen| seen.get("a").into_iter().flatten().copied().collect::<Vec<_>>();
            (of(&known.tcp), of(&known.udp))
        };
        let mut known = Sockets::default();
        assert!(take_up(&mut known, seen(&[])).is_empty());
        assert!(known.tcp["a"].is_empty());
        assert_eq!(
            take_up(&mut known, seen(&["1", "2", "53/udp", "x", "70000", "9/sctp"])),
            ["a"]
        );
        assert_eq!(ports(&known), (vec![1, 2], vec![53]));
        assert!(take_up(&mut known, seen(&[])).is_empty());
        assert_eq!(ports(&known), (vec![1, 2], vec![53]));
        assert!(take_up(&mut known, seen(&["2"])).is_empty());
        assert_eq!(ports(&known), (vec![2], vec![]));
    }
}
