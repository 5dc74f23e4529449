//! Readiness: all sidecars' views agree, and every instance has answered on every route.

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

/// Polling interval.
const PERIOD: Duration = Duration::from_millis(25);
/// Timeout for one request; the next poll sends it again.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

impl Mesh {
    /// Waits until the mesh is ready; meanwhile shows what is missing. Returns the time since the last container was
    /// started.
    ///
    /// # Errors
    /// A container exited, or the mesh is not ready within `limit`. The error has what was missing and the last log
    /// lines.
    pub async fn ready(&self, limit: Duration, progress: &Progress) -> Result<Duration, Error> {
        self.ready_within(PERIOD, limit, progress).await
    }

    /// As [`Mesh::ready`], polling every `period`, which is the precision of the result.
    ///
    /// # Errors
    /// As [`Mesh::ready`].
    pub async fn ready_within(
        &self,
        period: Duration,
        limit: Duration,
        progress: &Progress,
    ) -> Result<Duration, Error> {
        let started_at = Instant::now();
        let mut answered = Answered::default();
        let attempt = async || {
            let routes = match self.routes() {
                Ok(routes) => routes,
                // The engine unpublishes a container's ports shortly before it reports the container's exit.
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
            progress.missing(missing);
        })
        .await;
        let ready = "all sidecars agreeing on the mesh, and an answer on every path";
        match waited {
            Ok(Ok(took)) => Ok(took),
            Ok(Err(ended)) => {
                let expected = format!("containers that keep running, {ready}");
                Err(self
                    .failure(expected, given_up(started_at.elapsed(), &ended))
                    .await)
            }
            Err(expired) => {
                let expected = format!("within {limit:?} {ready}");
                Err(self
                    .failure(expected, self.diagnosis(&expired.missing).await)
                    .await)
            }
        }
    }

    /// Waits until the view of every sidecar has exactly the members that should be running. Returns the duration.
    ///
    /// # Errors
    /// The views do not converge within `limit`. The error has the disagreements and the last log lines.
    pub async fn converged(&self, limit: Duration) -> Result<Duration, Error> {
        let started_at = Instant::now();
        let attempt = async || match self.lacking().await {
            lacking if lacking.is_empty() => Ok(()),
            lacking => Err(lacking),
        };
        match wait::until(limit, PERIOD, attempt, |_| {}).await {
            Ok(()) => Ok(started_at.elapsed()),
            Err(expired) => {
                let expected = format!("within {limit:?} all sidecars agreeing on the mesh");
                Err(self
                    .failure(expected, self.diagnosis(&expired.missing).await)
                    .await)
            }
        }
    }

    /// The differences between the views and the members that should be running. Healthy foreign nodes do not count.
    async fn lacking(&self) -> Vec<String> {
        let views = self.views().await;
        match self.foreign_nodes(&views).await {
            Ok(foreign) => convergence::disagreements(&views, &foreign),
            Err(error) => vec![error.to_string()],
        }
    }

    /// The containers that should be running but are not, one line each.
    pub async fn ended(&self) -> Vec<String> {
        let looks = self
            .wanted()
            .map(|node| self.engine.container(&node.container.id));
        let containers = join_all(looks).await;
        let line = |look: Result<Container, EngineError>| match look {
            Ok(container) if container.running() => None,
            Ok(container) => Some(format!("container {} {}", container.name, container.failure())),
            Err(error) => Some(error.to_string()),
        };
        containers.into_iter().filter_map(line).collect()
    }

    /// What was missing when a wait failed, and the containers' states.
    async fn diagnosis(&self, missing: &[String]) -> String {
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

    /// The host names of a service's instances that should be running.
    pub fn hosts(&self, service: &str) -> BTreeSet<&str> {
        let offers = |role: &Role| role.service() == Some(service);
        let instances = self.wanted().filter(|node| offers(&node.member.role));
        instances.map(|node| node.container.short_id()).collect()
    }
}

/// The reason that a wait ended before its deadline.
fn given_up(after: Duration, ended: &[String]) -> String {
    format!("gave up after {}: {}", seconds(after), ended.join("\n"))
}

/// The hosts that have answered on each route.
#[derive(Debug, Default)]
struct Answered(BTreeMap<String, BTreeSet<String>>);

impl Answered {
    /// Sends requests on each route until every instance has answered there, at most one per instance. Returns what is
    /// still missing, one line for each route.
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
            let reason = failure.map(|reason| format!(": {reason}")).unwrap_or_default();
            let missing = (found < expected.len()).then(|| {
                let (name, service, all) = (route.name(), &route.service, expected.len());
                format!("{name} has reached {found} of {all} instances of service {service}{reason}")
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
