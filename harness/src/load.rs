//! Constant traffic with every outcome recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::answer::{self, Answer};
use crate::topology::Route;

/// Time that a request may take; the frontend itself answers within 5 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(7);
/// Outcomes that are kept; far above what a scenario makes.
const MAX_OUTCOMES: usize = 1_000_000;
/// Failed requests that a report shows.
const SHOWN_FAILURES: usize = 5;

/// One request and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// When it was sent, counted from the start of the traffic.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// Which route it went, as an index into the recorded routes.
    pub route: usize,
    /// The answer, or what went wrong.
    pub result: Result<Answer, String>,
}

/// Everything that was recorded.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The routes.
    pub routes: Vec<Route>,
    /// The outcomes, in the order in which they ended.
    pub outcomes: Vec<Outcome>,
}

/// Traffic that flows until it is finished.
#[derive(Debug)]
pub struct Load {
    record: Arc<Mutex<Record>>,
    stop: CancellationToken,
    workers: JoinSet<()>,
    start: Instant,
}

impl Load {
    /// Sends a request every `period` from each of `workers` clients on every route; a client that waits for an
    /// answer skips its turns meanwhile.
    pub fn start(routes: &[(Route, SocketAddr)], workers: usize, period: Duration) -> Self {
        let record = Record {
            routes: routes.iter().map(|(route, _)| route.clone()).collect(),
            outcomes: Vec::new(),
        };
        let record = Arc::new(Mutex::new(record));
        let stop = CancellationToken::new();
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for (index, (route, address)) in routes.iter().enumerate() {
            for _ in 0..workers {
                let (route, address, record, stop) = (route.clone(), *address, record.clone(), stop.clone());
                tasks.spawn(async move {
                    let mut turns = tokio::time::interval(period);
                    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
                    // A request that is under way when the traffic ends is waited for: its failure counts too.
                    while stop.run_until_cancelled(turns.tick()).await.is_some() {
                        let at = start.elapsed();
                        let result = answer::ask(address, &route, REQUEST_LIMIT).await;
                        let took = start.elapsed().saturating_sub(at);
                        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                        if record.outcomes.len() < MAX_OUTCOMES {
                            record.outcomes.push(Outcome {
                                at,
                                took,
                                route: index,
                                result,
                            });
                        }
                    }
                });
            }
        }
        Self {
            record,
            stop,
            workers: tasks,
            start,
        }
    }

    /// The time since the traffic began, on which outcomes are dated.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// What was recorded so far.
    pub fn so_far(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the traffic, waits for requests under way, and hands over what was recorded.
    pub async fn finish(mut self) -> Record {
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
        self.so_far()
    }
}

impl Record {
    /// Requests that failed.
    pub fn failed(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.result.is_err())
            .count()
    }

    /// Answers by host, of requests sent at `since` or later.
    pub fn hosts(&self, since: Duration) -> BTreeMap<&str, usize> {
        let mut hosts = BTreeMap::new();
        for answer in self
            .outcomes
            .iter()
            .filter(|o| o.at >= since)
            .filter_map(|o| o.result.as_ref().ok())
        {
            *hosts.entry(answer.host.as_str()).or_default() += 1;
        }
        hosts
    }

    /// The first answer from `host` that was asked for at `since` or later: when it came.
    pub fn first_answer(&self, host: &str, since: Duration) -> Option<Duration> {
        let from_host = |outcome: &&Outcome| outcome.result.as_ref().is_ok_and(|answer| answer.host == host);
        let later = self.outcomes.iter().filter(|outcome| outcome.at >= since);
        later
            .filter(from_host)
            .map(|outcome| outcome.at + outcome.took)
            .min()
    }

    /// How many requests there were, how many failed, and the last of those.
    pub fn summary(&self) -> String {
        let mut text = format!("{} requests, {} failed", self.outcomes.len(), self.failed());
        let failures: Vec<_> = self
            .outcomes
            .iter()
            .filter_map(|outcome| Some((outcome, outcome.result.as_ref().err()?)))
            .collect();
        for (outcome, reason) in failures.iter().rev().take(SHOWN_FAILURES).rev() {
            let route = self
                .routes
                .get(outcome.route)
                .map(Route::name)
                .unwrap_or_default();
            let (at, took) = (outcome.at.as_secs_f64(), outcome.took.as_secs_f64());
            // Writing to a String does not fail.
            let _ = write!(text, "\nat {at:.3} s, after {took:.3} s, {route}: {reason}");
        }
        text
    }
}

#[cfg(test)]
mod tests;
