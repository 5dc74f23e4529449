//! Users of the mesh: requests on all paths, each counted, with why it failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::http;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::mesh::Mesh;

/// Longest time that a user waits.
const LIMIT: Duration = Duration::from_secs(5);
/// Pause of a client between two requests.
const PAUSE: Duration = Duration::from_millis(10);

/// What became of requests.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    /// How often each failure occurred.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Latencies of the requests that did not fail.
    latencies: Vec<Duration>,
}

impl Outcome {
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The latency that this share of the requests is within.
    pub(crate) fn latency(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let index = (sorted.len() as f64 * share) as usize;
        sorted
            .get(index.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    /// Asserts that at most this share of the requests failed, and shows the figures.
    pub(crate) fn assert_failed_at_most(&self, share: f64, attack: &str) {
        let (requests, failed) = (self.requests, self.failed());
        println!(
            "{attack}: {failed} of {requests} requests failed; p50 {:.1?}, p99 {:.1?}",
            self.latency(0.5),
            self.latency(0.99)
        );
        #[allow(clippy::cast_precision_loss, reason = "there are few")]
        let allowed = requests as f64 * share;
        assert!(requests > 0, "{attack}: no request was made");
        #[allow(clippy::cast_precision_loss, reason = "there are few")]
        let failed = failed as f64;
        assert!(
            failed <= allowed,
            "{attack}: {failed} of {requests} requests failed: {:#?}",
            self.failures
        );
    }
}

/// Clients on all paths; they end with this value.
pub(crate) struct Traffic {
    outcome: Arc<Mutex<Outcome>>,
    _clients: Vec<AbortOnDropHandle<()>>,
}

impl Traffic {
    /// Starts two clients on each path.
    pub(crate) fn start(mesh: &Mesh) -> Self {
        let outcome = Arc::default();
        let paths = mesh.paths().into_iter().flat_map(|path| [path; 2]);
        let client = |path| AbortOnDropHandle::new(tokio::spawn(client(path, Arc::clone(&outcome))));
        let clients = paths.map(client).collect();
        Self {
            outcome,
            _clients: clients,
        }
    }

    /// What became of the requests since the last call, once there were as many as `requests` within at least `time`.
    pub(crate) async fn observe(&self, requests: u64, time: Duration) -> Outcome {
        std::mem::take(&mut *self.outcome.lock().unwrap());
        let end = Instant::now() + time;
        while Instant::now() < end || self.outcome.lock().unwrap().requests < requests {
            tokio::time::sleep(PAUSE).await;
        }
        std::mem::take(&mut *self.outcome.lock().unwrap())
    }
}

async fn client((target, path, service): (SocketAddr, &str, &str), outcome: Arc<Mutex<Outcome>>) {
    loop {
        let begin = Instant::now();
        let problem = match http::get(target, path, LIMIT).await {
            Err(error) => Some(error.to_string()),
            Ok(answer) => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let host = body["host"].as_str().unwrap_or_default();
                let right = answer.status == 200 && body["service"] == *service;
                let honest = matches!((service, host), ("a", "a1" | "a2") | ("b", "b"));
                let text = || {
                    String::from_utf8_lossy(&answer.body)
                        .chars()
                        .take(200)
                        .collect::<String>()
                };
                (!right || !honest).then(|| format!("{}: {}", answer.status, text()))
            }
        };
        {
            let mut outcome = outcome.lock().unwrap();
            outcome.requests += 1;
            match problem {
                None => outcome.latencies.push(begin.elapsed()),
                Some(problem) => {
                    *outcome
                        .failures
                        .entry(format!("{target}{path}: {problem}"))
                        .or_default() += 1;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
