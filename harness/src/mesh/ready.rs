//! When a mesh is ready: all sidecars see it alike, and every instance has answered on every path.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::Mesh;
use crate::answer;
use crate::error::Error;
use crate::report::Progress;
use crate::topology::{Role, Route};
use crate::wait;

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(25);
/// Time that one request may take before the look goes on without it; the next look asks again.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

impl Mesh {
    /// Waits until the mesh of the running containers is ready, and tells meanwhile what is missing. Answers with
    /// the time since the last container was started.
    ///
    /// # Errors
    /// Not within `limit`: what was missing, with the containers' last log lines.
    pub async fn ready(&self, limit: Duration, progress: &Progress) -> Result<Duration, Error> {
        let routes = self.routes()?;
        let mut answered = Answered::default();
        let attempt = async || {
            let (mut missing, asked) = join(self.disagreements(), answered.ask(self, &routes)).await;
            missing.extend(asked);
            if missing.is_empty() {
                Ok(self.last_start.elapsed())
            } else {
                Err(missing)
            }
        };
        let result = wait::until(limit, PERIOD, attempt, |missing| {
            progress.note(&missing.join("; "));
        })
        .await;
        match result {
            Ok(took) => Ok(took),
            Err(expired) => {
                let expected =
                    format!("a mesh on which all sidecars agree, and every path, within {limit:?}");
                Err(self.failure(expected, self.story(&expired.missing).await).await)
            }
        }
    }

    /// What the engine and the sidecars say, for a failed wait.
    async fn story(&self, missing: &[String]) -> String {
        let mut lines = missing.to_vec();
        for node in &self.nodes {
            let state = self.docker.container(&node.container.id).await;
            lines.push(match state {
                Ok(container) => format!("container {}: {}", container.name, container.status),
                Err(error) => error.to_string(),
            });
        }
        lines.join("\n")
    }

    /// The hosts of the running instances of each service.
    pub fn hosts(&self, service: &str) -> BTreeSet<&str> {
        let offers = |role: &Role| role.service() == Some(service);
        let instances = self.running().filter(|node| offers(&node.member.role));
        instances.map(|node| node.container.short_id()).collect()
    }
}

/// The hosts that have answered so far on each route.
#[derive(Debug, Default)]
struct Answered(BTreeMap<String, BTreeSet<String>>);

impl Answered {
    /// Asks on each route as often as there are instances that have not answered there; says what is missing then.
    async fn ask(&mut self, mesh: &Mesh, routes: &[(Route, SocketAddr)]) -> Vec<String> {
        let asked = routes.iter().map(async |(route, address)| {
            let expected = mesh.hosts(&route.service);
            let mut hosts = self.0.get(&route.name()).cloned().unwrap_or_default();
            let mut failure = None;
            for _ in 0..expected.len() {
                if expected.iter().all(|host| hosts.contains(*host)) {
                    break;
                }
                match answer::ask(*address, route, REQUEST_LIMIT).await {
                    Ok(answer) => drop(hosts.insert(answer.host)),
                    Err(reason) => {
                        failure = Some(reason);
                        break;
                    }
                }
            }
            let found = expected.iter().filter(|host| hosts.contains(**host)).count();
            let reason = failure.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let missing = (found < expected.len()).then(|| {
                format!(
                    "{} has answered from {found}/{} of service {}{reason}",
                    route.name(),
                    expected.len(),
                    route.service
                )
            });
            (route.name(), hosts, missing)
        });
        let mut missing = Vec::new();
        for (name, hosts, lacking) in join_all(asked).await {
            self.0.insert(name, hosts);
            missing.extend(lacking);
        }
        missing
    }
}
