//! The outcomes of all requests. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::clients::Lane;
use crate::cluster::answer::Answer;
use crate::cluster::topology::Route;

/// Latest answers kept; no scenario produces as many.
const MAX_ANSWERS: usize = 100_000;
/// Latest failures kept.
const MAX_FAILURES: usize = 20_000;
/// Failed requests shown in a summary.
const SHOWN_FAILURES: usize = 5;

/// One request and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestOutcome {
    /// When it was sent, as time since the start of the traffic.
    pub at: Duration,
    /// Time from sending to the result.
    pub took: Duration,
    /// Index of its lane in [`TrafficRecord::lanes`].
    pub lane: usize,
    /// The answer, or the error.
    pub result: Result<Answer, String>,
}

impl RequestOutcome {
    /// When it ended, as time since the start of the traffic.
    pub fn end(&self) -> Duration {
        self.at + self.took
    }
}

/// All requests: every one is counted, and the latest are kept with their outcomes.
#[derive(Debug, Clone)]
pub struct TrafficRecord {
    lanes: Vec<Lane>,
    began: SystemTime,
    sent: usize,
    failed: usize,
    answers: VecDeque<RequestOutcome>,
    failures: VecDeque<RequestOutcome>,
}

/// The time in which a fault may fail requests in flight, on the traffic's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultWindow {
    /// Start of the injection.
    pub from: Duration,
    /// Last moment at which a request may still have been sent to the faulty instance: the end of the injection, plus
    /// the time until the fault is detected.
    pub until: Duration,
}

impl FaultWindow {
    /// Whether the request was in flight during the window.
    pub fn covers(&self, outcome: &RequestOutcome) -> bool {
        outcome.at < self.until && outcome.end() >= self.from
    }
}

/// Failed requests, split by whether a fault explains them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified<'a> {
    /// Number of failed requests in flight during a fault.
    pub in_flight: usize,
    /// All other failed requests, in the order of their ends.
    pub others: Vec<&'a RequestOutcome>,
}

impl TrafficRecord {
    /// An empty record of traffic on `lanes` that started at `began`.
    pub fn new(lanes: Vec<Lane>, began: SystemTime) -> Self {
        Self {
            lanes,
            began,
            sent: 0,
            failed: 0,
            answers: VecDeque::new(),
            failures: VecDeque::new(),
        }
    }

    /// Adds a request; requests must be added in the order of their ends.
    pub fn add(&mut self, outcome: RequestOutcome) {
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

    /// Number of requests that have ended.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Number of failed requests.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The latest 20,000 failed requests, in the order of their ends.
    pub fn failures(&self) -> impl DoubleEndedIterator<Item = &RequestOutcome> {
        self.failures.iter()
    }

    /// The failed requests sent at `since` or later and before `until`.
    pub fn failures_sent(&self, since: Duration, until: Duration) -> impl Iterator<Item = &RequestOutcome> {
        self.failures()
            .filter(move |outcome| outcome.at >= since && outcome.at < until)
    }

    /// The latest 100,000 answered requests, in the order of their ends.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = (&RequestOutcome, &Answer)> {
        self.answers
            .iter()
            .filter_map(|outcome| Some((outcome, outcome.result.as_ref().ok()?)))
    }

    /// A lane's name; empty if the index is out of range.
    pub fn lane(&self, index: usize) -> String {
        self.lanes.get(index).map(Lane::name).unwrap_or_default()
    }

    /// The lanes that [`RequestOutcome::lane`] indexes.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The lane of a request.
    pub fn lane_of(&self, outcome: &RequestOutcome) -> Option<&Lane> {
        self.lanes.get(outcome.lane)
    }

    /// The requested service.
    pub fn service(&self, outcome: &RequestOutcome) -> Option<&str> {
        self.lane_of(outcome).map(|lane| lane.route.service.as_str())
    }

    /// When a request was sent, in wall-clock time.
    pub fn sent_at(&self, outcome: &RequestOutcome) -> SystemTime {
        self.began + outcome.at
    }

    /// Number of answers by host, of requests sent at `since` or later.
    pub fn hosts(&self, since: Duration) -> BTreeMap<&str, usize> {
        let mut hosts = BTreeMap::new();
        for (_, answer) in self.answers().filter(|(outcome, _)| outcome.at >= since) {
            *hosts.entry(answer.host.as_str()).or_default() += 1;
        }
        hosts
    }

    /// When the first answer from `host` arrived, of requests sent at `since` or later.
    pub fn first_answer(&self, host: &str, since: Duration) -> Option<Duration> {
        self.answers()
            .filter(|(outcome, answer)| outcome.at >= since && answer.host == host)
            .map(|(outcome, _)| outcome.end())
            .min()
    }

    /// The lanes of the routes that `on` selects on which no request sent at `since` or later was answered.
    pub fn unanswered(&self, since: Duration, on: impl Fn(&Route) -> bool) -> Vec<String> {
        let latest = self.answers.iter().rev();
        let later = latest.take_while(|outcome| outcome.end() >= since);
        let answered: BTreeSet<usize> = later
            .filter(|outcome| outcome.at >= since)
            .map(|outcome| outcome.lane)
            .collect();
        let lanes = self.lanes.iter().enumerate();
        let silent = lanes.filter(|(index, lane)| on(&lane.route) && !answered.contains(index));
        silent.map(|(_, lane)| lane.name()).collect()
    }

    /// Time from `at` to the end of the last failed request; `None` if none ended after `at`.
    pub fn last_error_after(&self, at: Duration) -> Option<Duration> {
        let later = self.failures().filter(|outcome| outcome.end() >= at);
        later.map(|outcome| outcome.end().saturating_sub(at)).max()
    }

    /// Splits the failed requests into those covered by any of `faults` and the others.
    pub fn classify(&self, faults: &[FaultWindow]) -> Classified<'_> {
        let explained = |outcome: &&RequestOutcome| faults.iter().any(|fault| fault.covers(outcome));
        let (in_flight, others): (Vec<&RequestOutcome>, Vec<&RequestOutcome>) =
            self.failures().partition(explained);
        Classified {
            in_flight: in_flight.len(),
            others,
        }
    }

    /// The number of requests and failures, followed by the last failures, one line each.
    pub fn summary(&self) -> String {
        let failures: Vec<&RequestOutcome> = self.failures().collect();
        let mut text = format!("{} requests, {} failed", self.sent, self.failed);
        for line in self.lines(&failures) {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{line}");
        }
        text
    }

    /// The last of `failures`, one line each: wall-clock time, time since the start of the traffic, lane, error.
    pub fn lines(&self, failures: &[&RequestOutcome]) -> Vec<String> {
        let line = |outcome: &&RequestOutcome| {
            let reason = outcome.result.as_ref().err()?;
            let clock = crate::clock::time_of_day(self.sent_at(outcome));
            let (at, took) = (outcome.at.as_secs_f64(), outcome.took.as_secs_f64());
            let lane = self.lane(outcome.lane);
            Some(format!(
                "{clock} (at {at:.3} s), after {took:.3} s, {lane}: {reason}"
            ))
        };
        let shown = failures.len().saturating_sub(SHOWN_FAILURES);
        failures.iter().skip(shown).filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests;
