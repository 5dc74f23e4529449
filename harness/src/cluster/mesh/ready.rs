//! When a mesh is ready: all sidecars see it alike, and every instance has answered on every path.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use super::Mesh;
use crate::cluster::answer;
use crate::cluster::convergence;
use crate::cluster::topology::{Role, Route};
use crate::console::{Progress, seconds};
use crate::engine::{Container, EngineError};
use crate::error::Error;
use crate::wait;

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(25);
/// Time that one request may take before the look goes on without it; the next look asks again.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

impl Mesh {
    /// Waits until the mesh of the containers that should run is ready, and tells meanwhile what is missing. Answers
    /// with the time since the last container was started.
    ///
    /// # Errors
    /// A container ended, or the mesh is not ready within `limit`: what was missing, with the containers' last log
    /// lines.
    pub async fn ready(&self, limit: Duration, progress: &Progress) -> Result<Duration, Error> {
        self.ready_to(PERIOD, limit, progress).await
    }

    /// The same with this time between two looks, which is how exactly it is known when.
    ///
    /// # Errors
    /// As [`Mesh::ready`].
    pub async fn ready_to(
        &self,
        period: Duration,
        limit: Duration,
        progress: &Progress,
    ) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut answered = Answered::default();
        let attempt = async || {
            let routes = match self.routes() {
                Ok(routes) => routes,
                // The engine publishes no port of a container that has ended, and tells that it has a little later.
                Err(unpublished) => match self.ended().await {
                    ended if ended.is_empty() => return Err(vec![unpublished.to_string()]),
                    ended => return Ok(Err(ended)),
                },
            };
            let (mut missing, asked) = join(self.lacking(), answered.ask(self, &routes)).await;
            missing.extend(asked);
            if missing.is_empty() {
                return Ok(Ok(self.last_start.elapsed()));
            }
            let ended = self.ended().await;
            if ended.is_empty() {
                Err(missing)
            } else {
                Ok(Err(ended))
            }
        };
        let waited = wait::until(limit, period, attempt, |missing| {
            progress.note(&missing.join("; "));
        })
        .await;
        let alike = "all sidecars agreeing on the mesh, and an answer on every path";
        match waited {
            Ok(Ok(took)) => Ok(took),
            Ok(Err(ended)) => {
                let expected = format!("containers that keep running, {alike}");
                Err(self.failure(expected, given_up(begun.elapsed(), &ended)).await)
            }
            Err(expired) => {
                let expected = format!("within {limit:?} {alike}");
                Err(self.failure(expected, self.story(&expired.missing).await).await)
            }
        }
    }

    /// Waits until the views of all containers that should run agree, and know nothing that is not there. Answers with
    /// how long that took.
    ///
    /// # Errors
    /// They do not within `limit`: in what they differ, with the containers' last log lines.
    pub async fn agreed(&self, limit: Duration) -> Result<Duration, Error> {
        let begun = Instant::now();
        let attempt = async || match self.lacking().await {
            lacking if lacking.is_empty() => Ok(()),
            lacking => Err(lacking),
        };
        match wait::until(limit, PERIOD, attempt, |_| {}).await {
            Ok(()) => Ok(begun.elapsed()),
            Err(expired) => {
                let expected = format!("within {limit:?} all sidecars agreeing on the mesh");
                Err(self.failure(expected, self.story(&expired.missing).await).await)
            }
        }
    }

    /// In what the views differ from what should be there. Healthy nodes that others have started beside do not count.
    async fn lacking(&self) -> Vec<String> {
        let seen = self.look().await;
        match self.beside(&seen).await {
            Ok(beside) => convergence::disagreements_but(&seen, &beside),
            Err(error) => vec![error.to_string()],
        }
    }

    /// Containers that should run and do not, a line each.
    pub async fn ended(&self) -> Vec<String> {
        let looks = self
            .wanted()
            .map(|node| self.engine.container(&node.container.id));
        let containers = join_all(looks).await;
        let told = |look: Result<Container, EngineError>| match look {
            Ok(container) if container.running() => None,
            Ok(container) => Some(format!("container {} {}", container.name, container.failure())),
            Err(error) => Some(error.to_string()),
        };
        containers.into_iter().filter_map(told).collect()
    }

    /// What the engine and the sidecars say, for a failed wait.
    async fn story(&self, missing: &[String]) -> String {
        let mut lines = missing.to_vec();
        for node in &self.nodes {
            let state = self.engine.container(&node.container.id).await;
            lines.push(match state {
                Ok(container) => format!("container {}: {}", container.name, container.status),
                Err(error) => error.to_string(),
            });
        }
        lines.join("\n")
    }

    /// The hosts of a service's instances that should run.
    pub fn hosts(&self, service: &str) -> BTreeSet<&str> {
        let offers = |role: &Role| role.service() == Some(service);
        let instances = self.wanted().filter(|node| offers(&node.member.role));
        instances.map(|node| node.container.short_id()).collect()
    }
}

/// Why a wait ended before its time.
fn given_up(after: Duration, ended: &[String]) -> String {
    format!("gave up after {}: {}", seconds(after), ended.join("\n"))
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
