//! What became of the requests: pure.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::cluster::answer::Answer;
use crate::cluster::topology::Route;

/// Answers that are kept, the latest; far above what a scenario makes.
const MAX_ANSWERS: usize = 100_000;
/// Failures that are kept, the latest.
const MAX_FAILURES: usize = 20_000;
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

impl Outcome {
    /// When it ended, counted from the start of the traffic.
    pub fn end(&self) -> Duration {
        self.at + self.took
    }
}

/// Everything that was recorded: every request is counted, and the latest are kept.
#[derive(Debug, Clone)]
pub struct Record {
    routes: Vec<Route>,
    began: SystemTime,
    sent: usize,
    failed: usize,
    answers: VecDeque<Outcome>,
    failures: VecDeque<Outcome>,
}

/// Something that was done to an instance and costs it the requests under way, on the traffic's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When it was begun.
    pub at: Duration,
    /// The last moment at which a request may have been put on the instance: when the fault was done, and how long
    /// it may go unnoticed.
    pub until: Duration,
}

impl Fault {
    /// Whether a request may have been under way on the instance.
    pub fn explains(&self, outcome: &Outcome) -> bool {
        outcome.at < self.until && outcome.end() >= self.at
    }
}

/// The failed requests, told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<'a> {
    /// Those that were under way on a faulty instance.
    pub in_flight: usize,
    /// All others, in the order of their ends.
    pub others: Vec<&'a Outcome>,
}

impl Record {
    /// Nothing yet, of traffic on `routes` that began at `began`.
    pub fn new(routes: Vec<Route>, began: SystemTime) -> Self {
        Self {
            routes,
            began,
            sent: 0,
            failed: 0,
            answers: VecDeque::new(),
            failures: VecDeque::new(),
        }
    }

    /// Adds the request that ended last.
    pub fn add(&mut self, outcome: Outcome) {
        self.sent += 1;
        let (kept, most) = if outcome.result.is_ok() {
            (&mut self.answers, MAX_ANSWERS)
        } else {
            self.failed += 1;
            (&mut self.failures, MAX_FAILURES)
        };
        if kept.len() >= most {
            kept.pop_front();
        }
        kept.push_back(outcome);
    }

    /// Requests that were sent and have ended.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Requests that failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The failed requests, in the order of their ends; the latest 20,000 of them.
    pub fn failures(&self) -> impl DoubleEndedIterator<Item = &Outcome> {
        self.failures.iter()
    }

    /// The failed requests that were sent at `since` or later and before `until`.
    pub fn failures_sent(&self, since: Duration, until: Duration) -> impl Iterator<Item = &Outcome> {
        self.failures()
            .filter(move |outcome| outcome.at >= since && outcome.at < until)
    }

    /// The answered requests, in the order of their ends; the latest 100,000 of them.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = (&Outcome, &Answer)> {
        self.answers
            .iter()
            .filter_map(|outcome| Some((outcome, outcome.result.as_ref().ok()?)))
    }

    /// A route's name; empty where there is none of this index.
    pub fn route(&self, index: usize) -> String {
        self.routes.get(index).map(Route::name).unwrap_or_default()
    }

    /// The routes that outcomes are indices into.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The service that was asked for; none where there is no such route.
    pub fn service(&self, outcome: &Outcome) -> Option<&str> {
        self.routes.get(outcome.route).map(|route| route.service.as_str())
    }

    /// When a request was sent, on the clock of the machine.
    pub fn sent_at(&self, outcome: &Outcome) -> SystemTime {
        self.began + outcome.at
    }

    /// Answers by host, of requests sent at `since` or later.
    pub fn hosts(&self, since: Duration) -> BTreeMap<&str, usize> {
        let mut hosts = BTreeMap::new();
        for (_, answer) in self.answers().filter(|(outcome, _)| outcome.at >= since) {
            *hosts.entry(answer.host.as_str()).or_default() += 1;
        }
        hosts
    }

    /// The first answer from `host` that was asked for at `since` or later: when it came.
    pub fn first_answer(&self, host: &str, since: Duration) -> Option<Duration> {
        self.answers()
            .filter(|(outcome, answer)| outcome.at >= since && answer.host == host)
            .map(|(outcome, _)| outcome.end())
            .min()
    }

    /// Whether a request that was sent on `route` at `since` or later was answered.
    pub fn answered_on(&self, route: &Route, since: Duration) -> bool {
        let latest = self.answers.iter().rev();
        let mut later = latest.take_while(|outcome| outcome.end() >= since);
        later.any(|outcome| outcome.at >= since && self.routes.get(outcome.route) == Some(route))
    }

    /// The routes on which no request that was sent at `since` or later was answered.
    pub fn silent(&self, since: Duration) -> Vec<String> {
        let silent = self.routes.iter().filter(|route| !self.answered_on(route, since));
        silent.map(Route::name).collect()
    }

    /// How long after `at` the last failed request ended; none where all that failed had ended before.
    pub fn last_error_after(&self, at: Duration) -> Option<Duration> {
        let later = self.failures().filter(|outcome| outcome.end() >= at);
        later.map(|outcome| outcome.end().saturating_sub(at)).max()
    }

    /// Tells the failed requests that `faults` explain from the others.
    pub fn judge(&self, faults: &[Fault]) -> Judged<'_> {
        let explained = |outcome: &&Outcome| faults.iter().any(|fault| fault.explains(outcome));
        let (in_flight, others): (Vec<&Outcome>, Vec<&Outcome>) = self.failures().partition(explained);
        Judged {
            in_flight: in_flight.len(),
            others,
        }
    }

    /// How many requests there were, how many failed, and the last of those.
    pub fn summary(&self) -> String {
        let failures: Vec<&Outcome> = self.failures().collect();
        let mut text = format!("{} requests, {} failed", self.sent, self.failed);
        for line in self.lines(&failures) {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{line}");
        }
        text
    }

    /// The last of `failures`, a line each: when on the machine's clock and on the traffic's, which route, and why.
    pub fn lines(&self, failures: &[&Outcome]) -> Vec<String> {
        let line = |outcome: &&Outcome| {
            let reason = outcome.result.as_ref().err()?;
            let clock = crate::clock::time_of_day(self.sent_at(outcome));
            let (at, took) = (outcome.at.as_secs_f64(), outcome.took.as_secs_f64());
            let route = self.route(outcome.route);
            Some(format!(
                "{clock} (at {at:.3} s), after {took:.3} s, {route}: {reason}"
            ))
        };
        let shown = failures.len().saturating_sub(SHOWN_FAILURES);
        failures.iter().skip(shown).filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests;
